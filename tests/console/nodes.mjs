// Nodes and windows for the tests of the console: real programs, each in a folder of its own.
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openConsole } from "./webdriver.mjs";

export const programs = resolve(process.env.CARGO_TARGET_DIR ?? "target", "debug");
const quiet = { encoding: "utf8", stdio: ["pipe", "pipe", "inherit"] };

const endings = new WeakMap();

/** At the end of the test, the last that was begun ends first: a folder goes when nobody uses it any more. */
function atEnd(t, end) {
  if (!endings.has(t)) {
    const all = [];
    endings.set(t, all);
    t.after(async () => {
      while (all.length > 0) await all.pop()();
    });
  }
  endings.get(t).push(end);
}

/** A folder for one test; nodes in it are known by their names. */
export async function place(t) {
  const folder = await mkdtemp(join(tmpdir(), "lockstep-console-"));
  // What was told to end may still be writing its last.
  atEnd(t, () => rm(folder, { recursive: true, force: true, maxRetries: 20 }));
  return folder;
}

/** What an application does with its file; the rows that come of it, one in a line. */
export function sql(file, ...statements) {
  const script =
    "import sqlite3, sys\n" +
    "with sqlite3.connect(sys.argv[1], timeout=20) as db:\n" +
    "    for statement in sys.argv[2:]:\n" +
    "        for row in db.execute(statement): print(*row)";
  return execFileSync("python3", ["-c", script, file, ...statements], quiet).trim();
}

/** A home, its `lockstep` command and its agent. */
export function installed(home) {
  const environment = { LOCKSTEP_HOME: home };
  const options = { ...quiet, env: { ...process.env, ...environment } };
  const program = join(programs, "lockstep");
  const lockstep = (args, input) => {
    try {
      return execFileSync(program, args, { ...options, ...(input && { input }) });
    } catch (ended) {
      // Done, and something waits for a person.
      if (ended.status === 3) return ended.stdout;
      throw ended;
    }
  };
  /** Runs until it is stopped or the test ends; resolves when it listens. */
  const agent = async (t, listen = "127.0.0.1:0") => {
    const running = spawn(program, ["agent", "--listen", listen], {
      ...options,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const gone = new Promise((resolve) => running.once("exit", resolve));
    const stop = () => (running.kill(), gone);
    atEnd(t, stop);
    const said = await new Promise((resolve, reject) => {
      running.stdout.once("data", resolve);
      gone.then(() => reject(new Error("the agent ended")));
    });
    return Object.assign(stop, { address: String(said).match(/https:\/\/(\S+)/)[1] });
  };
  return { environment, lockstep, agent };
}

/** A node with a database of one small table. */
export function node(folder, name) {
  const file = join(folder, `${name}.db`);
  const { lockstep, ...rest } = installed(join(folder, name));
  const run = (...statements) => sql(file, ...statements);
  const table = (rows) =>
    run(
      "CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT)",
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) ` +
        `INSERT INTO team (name) SELECT '<img src=x onerror=fail()> ${name} ' || i FROM n`,
    );
  const begin = (rows) => {
    table(rows);
    lockstep(["init", "--name", name]);
    lockstep(["attach", `scouting=${file}`, "--no-backup"]);
  };
  return { file, lockstep, ...rest, sql: run, table, begin };
}

/** The two servers of the scouting application, which began separately; nothing of Lockstep is there yet. */
export function scouting(folder) {
  const size = ["--teams", "16", "--matches", "24", "--rows", "60"];
  execFileSync("python3", ["examples/scouting/make.py", folder, ...size], quiet);
  return ["a", "b"].map((letter) => {
    const of = (name) => join(folder, letter, name);
    const files = { scouting: of("scouting.db"), users: of("users.db") };
    return { files, config: of("lockstep.toml"), ...installed(of("home")) };
  });
}

export async function open(t, environment) {
  const window = await openConsole(join(programs, "lockstep-console"), environment);
  atEnd(t, window.close);
  return window;
}

/**
 * The same two after they have met, with the application's own configuration: the second with its agent, the first for
 * the console. Neither begins a sync by itself.
 */
export async function met(t) {
  const [school, venue] = scouting(await place(t));
  const names = ["school-server", "venue-server"];
  [school, venue].forEach(({ lockstep, files, config }, n) => {
    lockstep(["init", "--name", names[n]]);
    const all = Object.entries(files).map(([name, file]) => `${name}=${file}`);
    lockstep(["attach", ...all, "--config", config, "--no-backup"]);
  });
  venue.running = await venue.agent(t);
  const { invite } = JSON.parse(venue.lockstep(["invite", "--json"]));
  school.lockstep(["pair", "-", "--yes", "--as", names[1]], invite);
  for (const { lockstep } of [school, venue]) lockstep(["pause"]);
  return [school, venue];
}
