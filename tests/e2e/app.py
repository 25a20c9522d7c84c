"""The foreign application of the end-to-end tests: Python's own SQLite, one statement per line.

Reads requests from standard input, one JSON document per line, and answers each with one line:

    {"file": "/…/scouting.db", "sql": "SELECT …"}      one statement
    {"file": …, "sql": …, "many": [[1], [2]]}          executemany, in one transaction
    {"file": …, "script": "CREATE …; INSERT …"}        several statements
    {"file": …, "close": true}                          close the connection, as an application that stops

    {"rows": [[…]]}   or   {"error": "IntegrityError: …"}

Connections stay open as an application's do: WAL, foreign keys on, transactions begun and ended by
the statements themselves. What JSON can't carry is tagged: {"real": "0x1.8p+1"}, {"blob": "00ff"},
{"text": "ff41"} (bytes of a text that is not UTF-8 or holds a NUL).
"""

import json
import os
import sqlite3
import sys

connections = {}


class Text(bytes):
    """A text as its bytes: not every text in a database is UTF-8."""


def connect(path):
    if path not in connections:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        connection.text_factory = Text
        connection.execute("PRAGMA journal_mode=" + os.environ.get("APP_JOURNAL", "WAL"))
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connections[path] = connection
    return connections[path]


def plain(value):
    """A value as JSON."""
    if isinstance(value, Text):
        try:
            text = value.decode("utf-8")
            return text if "\0" not in text else {"text": value.hex()}
        except UnicodeDecodeError:
            return {"text": value.hex()}
    if isinstance(value, bytes):
        return {"blob": value.hex()}
    if isinstance(value, float):
        return {"real": value.hex()}
    return value


def answer(request):
    if "close" in request:
        if request["file"] in connections:
            connections.pop(request["file"]).close()
        return {"rows": []}
    connection = connect(request["file"])
    if "script" in request:
        # Not executescript: it would commit a transaction that the test has open.
        statement = ""
        for part in request["script"].split(";"):
            statement += part + ";"
            if sqlite3.complete_statement(statement):
                if statement.strip() != ";":
                    connection.execute(statement)
                statement = ""
        if statement.strip(" \n;"):
            connection.execute(statement)
        return {"rows": []}
    if "many" in request:
        connection.execute("BEGIN")
        connection.executemany(request["sql"], request["many"])
        connection.execute("COMMIT")
        return {"rows": []}
    return {"rows": [[plain(v) for v in row] for row in connection.execute(request["sql"])]}


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except sqlite3.Error as error:
        reply = {"error": "%s: %s" % (type(error).__name__, error)}
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()
