"""Believable content: names, towns, remarks. Everything comes out of the random generator that is
passed in, so that the same seed makes the same databases."""

from __future__ import annotations

import datetime
from random import Random

FIRST = """Ada Amir Anna Aria Ben Caleb Chloe Dana Diego Elif Emma Farid Finn Grace Hana Hugo Ines Isaac Jana
Jonas Kai Kira Lena Leo Lin Lucia Luis Maja Marco Mei Mila Nadia Noah Nora Omar Oskar Paula Pia Priya
Quinn Rafael Rosa Ryo Sam Sara Selim Sofia Tariq Theo Uma Vera Viktor Wei Yara Yusuf Zoe""".split()
LAST = """Adler Alvarez Bauer Becker Brandt Brown Castro Chen Costa Diaz Evans Fischer Foster Garcia Gupta
Haddad Hansen Ito Jensen Kaya Khan Kim Klein Kowalski Lang Lopez Martin Meyer Moreau Nakamura Novak Okafor
Olsen Park Patel Perez Peters Reed Rossi Ruiz Sato Schmidt Silva Singh Stone Tanaka Torres Vogel Walker
Weber Wong Young Zimmer""".split()
TOWNS = ["San Jose, CA", "Fresno, CA", "Portland, OR", "Bothell, WA", "Boise, ID", "Duluth, MN", "Detroit, MI",
         "Lansing, MI", "St. Louis, MO", "Houston, TX", "Plano, TX", "Tulsa, OK", "Madison, WI", "Peoria, IL",
         "Cleveland, OH", "Pittsburgh, PA", "Albany, NY", "Boston, MA", "Hartford, CT", "Montréal, QC",
         "Toronto, ON", "Istanbul, TR", "Haifa, IL", "São Paulo, BR", "Shenzhen, CN", "Sydney, AU"]
HALF = """Cheesy Iron Robo Circuit Gear Thunder Copper Quantum Titan Spark Rogue Steel Turbo Binary Solar
Desert Harbor Summit Phantom Rapid Torque Vector Lunar Static Crimson""".split()
OTHER = """Poofs Panthers Wranglers Breakers Heads Chickens Falcons Kings Mechanics Hounds Pilots Ravens
Wolves Foxes Engineers Knights Giants Owls Comets Badgers Cats Bots Rebels Storm Makers""".split()
EVENTS = ["Silicon Valley Regional", "Central Valley Regional", "Lake Superior Regional", "Gateway Regional",
          "Lone Star Regional", "Wisconsin Regional", "Buckeye Regional", "Greater Pittsburgh Regional",
          "Northern Lights Regional", "Bosphorus Regional", "Sacramento Regional", "Great Lakes District"]
CODES = ["casj", "cafr", "mndu", "mosl", "txho", "wimi", "ohcl", "papi", "mndn", "tuis", "cada", "milk"]
REMARKS = ["Fast cycles, drops one in five.", "Climbs every time.", "Lost comms for a minute in the middle.",
           "Plays good defence, few penalties.", "Intake jams when pushed.", "Very consistent in autonomous.",
           "Driver is new, careful near the wall.", "Battery came loose.", "Swerve, turns on the spot.",
           "Best feeder we have seen today.", "Arm is slow but precise.", "Tipped over, recovered."]
CHAT = ["Can you cover field two after lunch?", "We moved the pit interviews to three.", "Tablet 4 is charging.",
        "Pick list is in the shared folder.", "Who has the schedule for tomorrow?", "Great job everyone!"]


def moment(rng: Random, day: int = 0, days: int = 60) -> str:
    """A past point in time, in the application's form."""
    start = datetime.datetime(2025, 3, 1) + datetime.timedelta(days=day)
    stamp = start + datetime.timedelta(seconds=rng.randrange(days * 86_400), microseconds=rng.randrange(1_000_000))
    return stamp.strftime("%Y-%m-%d %H:%M:%S.%f")


def now() -> str:
    """This moment, in the application's form."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")


def entry(rng: Random) -> dict:
    """What a scout counts in one match."""
    return {
        "auto": {"left_line": rng.random() < 0.8, "pieces": rng.randrange(5)},
        "teleop": {"high": rng.randrange(12), "low": rng.randrange(8), "missed": rng.randrange(5)},
        "endgame": rng.choice(["none", "park", "shallow", "deep"]),
        "defence": rng.randrange(6),
        "accuracy": round(rng.random(), 4),
        "remark": rng.choice(REMARKS),
    }


def pit(rng: Random) -> dict:
    """What a team says about its robot."""
    return {
        "drive": rng.choice(["swerve", "tank", "mecanum"]),
        "weight_lb": round(rng.uniform(80, 125), 1),
        "motors": rng.randrange(4, 12),
        "language": rng.choice(["Java", "C++", "Python", "LabVIEW"]),
        "remark": rng.choice(REMARKS),
    }


def lines(rng: Random, count: int = 6) -> list:
    """The strokes of a drawing."""
    return [[rng.randrange(1000), rng.randrange(500)] for _ in range(count)]


def password_hash(rng: Random) -> str:
    """Something of the form that the application stores. No password belongs to it."""
    return "pbkdf2:sha256:600000$%08x$%064x" % (rng.getrandbits(32), rng.getrandbits(256))


def share_id(rng: Random) -> str:
    """A random id of the form of a UUID."""
    digits = "%032x" % rng.getrandbits(128)
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])
