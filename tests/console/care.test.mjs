// What is done for a whole database, for the rows of a person, and for the node itself: by clicks, on two real servers.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { agree, answer } from "./dialog.mjs";
import { met, node, open, place, sql } from "./nodes.mjs";
import { until } from "./webdriver.mjs";

const json = (said) => JSON.parse(said);
/** The buttons of the database of that name, under Settings. */
const of = (database) => `section[aria-label="${database}"]`;

test("a database is copied, migrated, looked over, and put back from its copy", async (t) => {
  const [school, venue] = await met(t);
  const file = school.files.users;
  const folder = join(dirname(file), "app");
  mkdirSync(folder);
  const window = await open(t, school.environment);
  const care = async (says) => {
    await window.press("Settings");
    await window.pressIn(of("users"), says);
  };

  const copy = join(folder, "copy.db");
  await care("Save a copy");
  await window.press("Save a copy");
  await answer("Save a copy of users", copy);
  await window.says(/The copy is saved/);
  assert.equal(sql(copy, "SELECT count(*) FROM user"), sql(file, "SELECT count(*) FROM user"));
  await window.press("Close");

  // The command runs only when a person agrees to it in the desktop's own dialog.
  writeFileSync(
    join(folder, "migrate.py"),
    "import sqlite3\nwith sqlite3.connect('../users.db') as db: db.execute('ALTER TABLE user ADD COLUMN pronouns TEXT')\n" +
      "print('the column is there')",
  );
  await care("Migrate");
  await window.type("Command", "python3 migrate.py");
  await window.press("Choose its folder");
  await answer("Choose the application's folder", folder);
  await window.says(/\/a\/app\/?$/m);
  await window.press("Run it");
  await agree("Run this command?", false);
  await until("nothing to have run", () =>
    window.script("return !document.querySelector('dialog .loading')"),
  );
  assert.doesNotMatch(sql(file, "SELECT sql FROM sqlite_master WHERE name = 'user'"), /pronouns/);
  await window.press("Run it");
  await agree("Run this command?", true);
  await window.says(/The migration has run; everything is captured again/);
  await window.says(/the column is there/);
  assert.match(sql(file, "SELECT sql FROM sqlite_master WHERE name = 'user'"), /pronouns/);
  await window.press("Close");

  // The venue has not had its migration: both sides say so, and whose turn it is.
  school.lockstep(["sync"]);
  await window.says(/users\.user\b[^]*has no column pronouns/);
  assert.equal(await window.script("return /Migrate users…/.test(document.body.innerText)"), false);
  const there = await open(t, venue.environment);
  await there.says(/this server has no column pronouns/i);
  await there.press("Migrate users");
  await there.says(/Migrate users/);

  // A tool drops the triggers, writes, and puts them back.
  const triggers = "FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'user'";
  const names = sql(file, `SELECT name ${triggers}`).split("\n");
  const makes = names.map((name) => sql(file, `SELECT sql ${triggers} AND name = '${name}'`));
  const drops = names.map((name) => `DROP TRIGGER "${name}"`);
  sql(
    file,
    "BEGIN IMMEDIATE",
    ...drops,
    "UPDATE user SET pronouns = 'they' WHERE id = 1",
    ...makes,
    "COMMIT",
  );
  await care("Look it over");
  await window.press("Look it over");
  await window.says(/1 thing was put right/);
  await window.says(/In the table `user` 1 write was not captured; they are known now/);
  await window.press("Close");

  // An administrator puts the copy back, which lacks what was done since.
  sql(file, "PRAGMA wal_checkpoint(TRUNCATE)");
  for (const ending of ["-wal", "-shm"]) rmSync(file + ending, { force: true });
  copyFileSync(copy, file);
  await window.press("Overview");
  await window.says(/users was found restored from a backup/);
  await window.press("Say what it is to mean");
  await window.press("Let it catch up");
  await window.says(/users has caught up/);
  await window.press("Close");
  const broke = () => json(school.lockstep(["status", "--json"])).databases.some((one) => one.history);
  assert.equal(broke(), false);
});

test("rows are made one and taken apart, tables and columns begin and cease to pass", async (t) => {
  const [school] = await met(t);
  const file = school.files.scouting;
  const window = await open(t, school.environment);
  const count = (table) => Number(sql(file, `SELECT count(*) FROM ${table}`));

  // Two teams that are one, under two numbers.
  sql(
    file,
    "INSERT INTO team (team_number, scouting_team_number, team_name) VALUES (9001, 5454, 'one'), (9002, 5454, 'two')",
  );
  const teams = count("team");
  await window.press("Row history");
  await window.type("Table", "scouting.team");
  await window.type("Key or identity", "9001");
  await window.says(/1 row, deleted ones included/);
  await window.press("Same as");
  await window.type("Find the other", "9002");
  const [one, other] = sql(file, "SELECT id FROM team WHERE team_number > 9000 ORDER BY team_number").split(
    "\n",
  );
  await window.press(`Make ${one} and ${other} one`);
  await window.says(/are one now/);
  assert.equal(count("team"), teams - 1);
  await window.press("To the row");
  await window.press("Take apart");
  await window.says(/is a row of its own again/);
  await window.press("Take apart");
  await window.says(/It is 2 rows now/);
  assert.equal(count("team"), teams);
  await window.press("Close");

  // A table that the configuration left out is synced from now on.
  const config = () => json(sql(file, "SELECT v FROM _lockstep_meta WHERE k = 'config'"));
  const [left] = json(school.lockstep(["tables", "scouting", "--json"])).databases[0].left_out.filter(
    (one) => one.excluded,
  );
  assert.ok(left, "the example leaves a table out");
  await window.press("Settings");
  await window.type("Filter tables", left.name);
  await window.press(`${left.name} left out`);
  await window.press("Sync it from now on");
  await until("it to be synced", () =>
    json(school.lockstep(["tables", "scouting", "--json"])).databases[0].tables.some(
      (one) => one.name === left.name,
    ),
  );
  assert.ok(!config().exclude.includes(left.name));

  // A column that stays here.
  await window.press("Servers");
  await window.press("Columns that stay here");
  await window.type("Table", "users.user");
  await window.press("email");
  await window.press("Keep them here");
  await window.says(/Saved for users\.user/);
  await window.press("Close");
  await window.says(/users\.user without email/);
  const [peer] = json(school.lockstep(["peers", "--json"])).peers;
  assert.deepEqual(peer.shares.find((one) => one.what === "users.user").without, ["email"]);
});

test("the address is changed while the console is the agent, and Ctrl+Q ends all of it", async (t) => {
  const school = node(await place(t), "school-server");
  school.begin(3);
  const window = await open(t, school.environment);
  const agent = () => json(school.lockstep(["status", "--json"])).agent;
  await until("the console to be the agent", () => agent() !== null);

  await window.press("Settings");
  await window.press("Behaviour");
  await window.type("Listens on", "127.0.0.1:0");
  await window.press("Save the address");
  await window.says(/is not an address of the form host:port/);
  await window.press("this address");
  await window.type("The address that others are told", "hq.example:7467");
  const port = 20000 + (process.pid % 20000);
  await window.type("Listens on", `127.0.0.1:${port}`);
  await window.press("Save the address");
  await window.says(/Saved\./);
  await until("the agent to listen there", () => agent()?.listening.endsWith(`:${port}`));
  const told = () => sql(join(school.environment.LOCKSTEP_HOME, "node.db"), "SELECT advertised FROM agent");
  assert.equal(told(), "hq.example:7467");

  await window.script(
    "setTimeout(() => window.dispatchEvent(new KeyboardEvent('keydown'," +
      " { key: 'q', code: 'KeyQ', ctrlKey: true, bubbles: true, cancelable: true })), 50)",
  );
  await until("nobody to be the agent", () => agent() === null);
  await until("the window to be gone", async () => {
    try {
      await window.script("return 1");
      return false;
    } catch {
      return true;
    }
  });
  assert.ok(existsSync(school.file));
});
