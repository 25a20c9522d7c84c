//! Seventy-two hours of three nodes that are left alone: a server at the school, one at the venue whose line goes down,
//! and a laptop that sleeps, travels and wakes up. Clocks jump forth and back, each gets the application's later version
//! at another time, and everybody writes. The third day nobody writes.
use super::couriers::Couriers;
use super::network::{Network, Seen};
use super::prng::Prng;
use super::schedule::{Op, Schedule, Statement};
use super::schema::Schema;
use super::world::World;
use lockstep_engine::change::ConflictKind;
use lockstep_node::pace::LONGEST;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const END: i64 = 3 * DAY;

const SCHOOL: usize = 0;
const VENUE: usize = 1;
const LAPTOP: usize = 2;

/// From and to, in seconds from the first midnight.
type Span = (i64, i64);

/// After the laptop wakes up nobody writes for so long: what happens then is of its waking alone.
const QUIET: i64 = 15 * MINUTE;

/// What the three days are like.
struct Weather {
    asleep: Vec<Span>,
    /// The laptop is awake and has no network.
    travels: Span,
    /// The venue's line is down.
    outage: Span,
    /// When, whose clock, and by how many milliseconds it is off from then on.
    clocks: Vec<(i64, usize, i64)>,
    /// When the later version comes to each node.
    later: Vec<i64>,
    writes: Vec<(i64, usize, Vec<Statement>)>,
}

fn within(span: Span, t: i64) -> bool {
    (span.0..span.1).contains(&t)
}

impl Weather {
    fn of(r: &mut Prng) -> Weather {
        let mut some = |from: i64, to: i64| from + r.below((to - from) as usize) as i64;
        let mut asleep = vec![
            (0, some(6 * HOUR, 7 * HOUR)),
            (some(22 * HOUR, 23 * HOUR), DAY + some(6 * HOUR, 8 * HOUR)),
            (DAY + some(22 * HOUR, 23 * HOUR), 2 * DAY + some(6 * HOUR, 8 * HOUR)),
        ];
        // The lid is closed for a while.
        for from in [9 * HOUR, 18 * HOUR, DAY + 10 * HOUR, DAY + 16 * HOUR, 2 * DAY + 12 * HOUR] {
            let from = from + some(0, HOUR);
            asleep.push((from, from + some(10 * MINUTE, 80 * MINUTE)));
        }
        let outage = (DAY + some(9 * HOUR, 11 * HOUR), DAY + some(14 * HOUR, 17 * HOUR));
        let travels = (13 * HOUR, some(14 * HOUR, 16 * HOUR));
        let clocks = vec![
            (some(8 * HOUR, 10 * HOUR), VENUE, some(11, 40) * MINUTE * 1000),
            (some(11 * HOUR, 13 * HOUR), VENUE, 0),
            (some(16 * HOUR, 17 * HOUR), LAPTOP, -DAY * 1000),
            (some(20 * HOUR, 21 * HOUR), LAPTOP, -2000),
            (DAY + some(8 * HOUR, 9 * HOUR), LAPTOP, some(1, 5) * HOUR * 1000),
            (DAY + some(13 * HOUR, 15 * HOUR), LAPTOP, 0),
            (DAY + some(17 * HOUR, 18 * HOUR), SCHOOL, -some(1, 4) * HOUR * 1000),
            (DAY + some(19 * HOUR, 21 * HOUR), SCHOOL, 500),
        ];
        let later = vec![some(10 * HOUR, 12 * HOUR), some(15 * HOUR, DAY), DAY + some(8 * HOUR, 12 * HOUR)];
        let mut w = Weather { asleep, travels, outage, clocks, later, writes: Vec::new() };
        for n in 0..3 {
            for day in [0, DAY] {
                let mut t = day + 7 * HOUR + r.below(30 * 60) as i64;
                while t < day + 22 * HOUR {
                    let statements = (0..1 + r.below(3)).map(|_| Statement::random(r)).collect();
                    if !(w.just_woke(t) || n == LAPTOP && w.sleeps(t)) {
                        w.writes.push((t, n, statements));
                    }
                    t += 20 * MINUTE + r.below(140 * 60) as i64;
                }
            }
        }
        w
    }

    fn sleeps(&self, t: i64) -> bool {
        self.asleep.iter().any(|s| within(*s, t))
    }

    fn just_woke(&self, t: i64) -> bool {
        self.asleep.iter().any(|s| within((s.1, s.1 + QUIET), t))
    }

    /// Do the two reach each other? Itself: is it awake?
    fn reach(&self, t: i64, a: usize, b: usize) -> bool {
        let has = |n| a == n || b == n;
        let asleep = has(LAPTOP) && self.sleeps(t);
        let cut_off = has(LAPTOP) && within(self.travels, t) || has(VENUE) && within(self.outage, t);
        !asleep && (a == b || !cut_off)
    }
}

/// Lives three days, as the seed has them. What was seen on the way.
pub fn live(seed: u64, trace: bool) -> Result<Seen, String> {
    let mut r = Prng::new(seed);
    let schema = Schema::random(&mut r).widen(&mut Prng::new(!seed));
    let schedule = Schedule { skews: vec![0; 3], copies: false, ops: Vec::new(), ..Schedule::of(3, &mut r) };
    let weather = Weather::of(&mut r);
    if trace {
        for db in 0..schema.databases() {
            eprintln!("{}\n{}\n{}", schema.sql(db), schema.steps(db), schema.config(db));
        }
    }
    let mut world = World::new(schema, &schedule, seed, trace)?;
    let mut network = Network::new(3, trace);
    let mut couriers = Couriers::new(&world, seed);
    for t in 0..END {
        world.step = t;
        for (_, n, skew) in weather.clocks.iter().filter(|c| c.0 == t) {
            network.seen.note(if *skew < world.nodes[*n].skew { "clock back" } else { "clock ahead" });
            world.set_clock(*n, *skew);
        }
        for n in (0..3).filter(|n| weather.later[*n] == t) {
            world.step(&Op::Migrate(n))?;
            world.step = t;
        }
        for (_, n, statements) in weather.writes.iter().filter(|w| w.0 == t) {
            world.application(*n, statements);
            world.harvest(*n)?;
            couriers.moved(&world, *n);
        }
        if t % HOUR == 0 {
            merge_due(&mut world)?;
        }
        couriers.second((&mut world, &mut network), &|a, b| weather.reach(t, a, b), &mut r)?;
    }
    network.seen.look(&world);
    for a in &couriers.attempts {
        network.seen.note(if a.failed { "attempt in vain" } else { "attempt" });
    }
    judge(&weather, &couriers)?;
    network.calm();
    world.finish(&mut r)?;
    network.seen.records(&world);
    Ok(network.seen)
}

/// An agent looks every half minute at least; that matters where something waits for its time.
fn merge_due(world: &mut World) -> Result<(), String> {
    for n in 0..3 {
        if world.held(n).iter().any(|(_, h)| h.reason == ConflictKind::Clock) {
            world.look(n)?;
        }
    }
    Ok(())
}

/// What must hold of how often they called each other, and of what came of it, before anybody helps.
fn judge(weather: &Weather, couriers: &Couriers) -> Result<(), String> {
    let pairs = [(SCHOOL, VENUE), (SCHOOL, LAPTOP), (VENUE, LAPTOP)];
    let of = |(x, y): (usize, usize), span: Span| {
        let those = couriers.attempts.iter().filter(move |a| within(span, a.at));
        those.filter(move |a| [(x, y), (y, x)].contains(&(a.leader, a.peer)))
    };
    // The first time they wake to what they never had.
    for woke in weather.asleep.iter().skip(1).map(|s| s.1) {
        let span = (woke, woke + QUIET);
        for peer in [SCHOOL, VENUE].into_iter().filter(|p| weather.reach(woke, LAPTOP, *p)) {
            let led_by = |n| of((peer, LAPTOP), span).filter(|a| a.leader == n && !a.failed).count();
            let failed = of((peer, LAPTOP), span).filter(|a| a.failed).count();
            // Nobody wrote. Each side has one reason to call: the laptop that it woke, the peer that its pause is over.
            if led_by(LAPTOP) > 1 || led_by(peer) > 1 || failed > 4 {
                let those: Vec<_> = of((peer, LAPTOP), span).collect();
                return Err(format!("a storm after the laptop woke at {woke}: {those:?}"));
            }
        }
    }
    let vain = of((SCHOOL, VENUE), weather.outage).count() as i64;
    let outage = weather.outage.1 - weather.outage.0;
    // Two couriers, each with pauses of half of the longest to the longest once it has had its first ten.
    let longest = LONGEST.as_secs() as i64;
    if vain < outage / longest || vain > 2 * (10 + 2 * outage / longest) {
        return Err(format!("{vain} attempts in an outage of {outage} seconds"));
    }
    if !couriers.all_alike() {
        return Err("after three days not every node has what every other has".into());
    }
    for pair in pairs {
        let Some(last) = of(pair, (END - DAY, END)).rfind(|a| !a.failed) else {
            return Err(format!("{pair:?} were not compared on the last day"));
        };
        if !last.verified {
            return Err(format!("{pair:?}: the last session was not verified: {last:?}"));
        }
        let many = of(pair, (2 * DAY + QUIET, END)).count();
        if many > 24 {
            return Err(format!("{pair:?} called each other {many} times on a day without news"));
        }
    }
    Ok(())
}
