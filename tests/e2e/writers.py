"""Eight threads of an application written with SQLAlchemy, with a busy time-out of five seconds.

Usage: writers.py FILE JOURNAL_MODE TRANSACTIONS NAME. Prints {"done": …, "failed": …, "wrong": …, "longest_ms": …}.
"""

import json
import random
import sys
import threading
import time

from sqlalchemy import Column, Integer, Text, create_engine, event, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy.pool import NullPool

file, mode, count, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
done, failed, wrong, waits = [], [], [], []
Base = declarative_base()


class Entry(Base):
    __tablename__ = "entry"
    id = Column(Integer, primary_key=True)
    tag = Column(Text, nullable=False)
    at = Column(Text)
    n = Column(Integer)


engine = create_engine("sqlite:///" + file, connect_args={"timeout": 5}, poolclass=NullPool, future=True)


@event.listens_for(engine, "connect")
def connected(connection, _):
    connection.execute("PRAGMA journal_mode=%s" % mode)
    connection.execute("PRAGMA synchronous=NORMAL")


def work(thread):
    chance = random.Random(thread)
    last = None
    for n in range(count):
        time.sleep(chance.random() * 0.2)
        tag, began = "%s-%d-%d" % (name, thread, n), time.monotonic()
        try:
            with Session(engine, future=True) as session, session.begin():
                session.add_all([Entry(tag=tag, at="first", n=n), Entry(tag=tag, at="second", n=n)])
                session.flush()
                if last is not None:
                    for entry in session.scalars(select(Entry).where(Entry.tag == last)):
                        entry.n += 1000
            done.append(tag)
        except DBAPIError as error:
            failed.append(str(error.orig))
            continue
        finally:
            waits.append(time.monotonic() - began)
        # What it has written it reads, whatever goes on beside it.
        with Session(engine, future=True) as session:
            rows = session.execute(select(Entry.at, Entry.n).where(Entry.tag == tag).order_by(Entry.at)).all()
        if [tuple(row) for row in rows] != [("first", n), ("second", n)]:
            wrong.append([tag, [list(row) for row in rows]])
        last = tag


threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
longest = int(max(waits) * 1000)
print(json.dumps({"done": len(done), "failed": failed, "wrong": wrong, "longest_ms": longest}))
