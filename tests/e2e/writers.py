"""Eight threads of an application, each with a connection of its own and a busy time-out of five seconds.

Usage: writers.py FILE JOURNAL_MODE TRANSACTIONS NAME. Prints {"done": …, "failed": …, "wrong": …, "longest_ms": …}.
"""

import json
import random
import sqlite3
import sys
import threading
import time

file, mode, count, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
done, failed, wrong, waits = [], [], [], []


def work(thread):
    chance = random.Random(thread)
    connection = sqlite3.connect(file, timeout=5, isolation_level=None)
    connection.execute("PRAGMA journal_mode=%s" % mode)
    connection.execute("PRAGMA synchronous=NORMAL")
    last = None
    for n in range(count):
        time.sleep(chance.random() * 0.01)
        tag, began = "%s-%d-%d" % (name, thread, n), time.monotonic()
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO entry (tag, at, n) VALUES (?, 'first', ?)", (tag, n))
            connection.execute("INSERT INTO entry (tag, at, n) VALUES (?, 'second', ?)", (tag, n))
            if last is not None:
                connection.execute("UPDATE entry SET n = n + 1000 WHERE tag = ?", (last,))
            connection.execute("COMMIT")
            done.append(tag)
        except sqlite3.Error as error:
            failed.append(str(error))
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            continue
        finally:
            waits.append(time.monotonic() - began)
        # What it has written it reads, whatever goes on beside it.
        rows = connection.execute("SELECT at, n FROM entry WHERE tag = ? ORDER BY at", (tag,)).fetchall()
        if rows != [("first", n), ("second", n)]:
            wrong.append([tag, rows])
        last = tag
    connection.close()


threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
longest = int(max(waits) * 1000)
print(json.dumps({"done": len(done), "failed": failed, "wrong": wrong, "longest_ms": longest}))
