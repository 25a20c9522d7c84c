// Nodes and windows for the tests of the console: real programs, each in a folder of its own.
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openConsole } from "./webdriver.mjs";

const programs = resolve(process.env.CARGO_TARGET_DIR ?? "target", "debug");

/** A folder for one test; nodes in it are known by their names. */
export async function place(t) {
  const folder = await mkdtemp(join(tmpdir(), "lockstep-console-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A node's home, its database and its `lockstep` command. */
export function node(folder, name) {
  const file = join(folder, `${name}.db`);
  const environment = { LOCKSTEP_HOME: join(folder, name) };
  const options = {
    env: { ...process.env, ...environment },
    encoding: "utf8",
    stdio: ["pipe", "pipe", "inherit"],
  };
  const program = join(programs, "lockstep");
  const lockstep = (args, input) => execFileSync(program, args, { ...options, ...(input && { input }) });
  const sql = (...statements) =>
    execFileSync(
      "python3",
      [
        "-c",
        "import sqlite3, sys\n" +
          "with sqlite3.connect(sys.argv[1]) as db:\n" +
          "    for statement in sys.argv[2:]:\n" +
          "        for row in db.execute(statement): print(*row)",
        file,
        ...statements,
      ],
      { encoding: "utf8" },
    );
  /** Its agent, until it is stopped or the test ends; resolves when it listens. */
  const agent = async (t) => {
    const running = spawn(program, ["agent", "--listen", "127.0.0.1:0"], {
      ...options,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const gone = new Promise((resolve) => running.once("exit", resolve));
    const stop = () => (running.kill(), gone);
    t.after(stop);
    await new Promise((resolve, reject) => {
      running.stdout.once("data", resolve);
      gone.then(() => reject(new Error("the agent ended")));
    });
    return stop;
  };
  const table = (rows) =>
    sql(
      "CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT)",
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) ` +
        `INSERT INTO team (name) SELECT '<img src=x onerror=fail()> ${name} ' || i FROM n`,
    );
  const begin = (rows) => {
    table(rows);
    lockstep(["init", "--name", name]);
    lockstep(["attach", `scouting=${file}`, "--no-backup"]);
  };
  return { file, environment, lockstep, sql, agent, table, begin };
}

export async function open(t, environment) {
  const window = await openConsole(join(programs, "lockstep-console"), environment);
  t.after(window.close);
  return window;
}
