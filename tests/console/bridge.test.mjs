// What the screens ask of the real node through the bridge: from set-up to a settled conflict.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { node, open, place } from "./nodes.mjs";
import { until } from "./webdriver.mjs";

/** Asks as the page does. A refusal comes back as `{ refused }`. */
async function asking(t, environment) {
  const window = await open(t, environment);
  await window.text(".headline h1");
  return async (command, ask) => {
    await window.script(
      "window.answer = undefined;" +
        "window.__TAURI_INTERNALS__.invoke(arguments[0], arguments[1]).then(" +
        "(answer) => (window.answer = { answer }), (refused) => (window.answer = { refused }))",
      command,
      ask === undefined ? {} : { ask },
    );
    const found = await until(command, () => window.script("return window.answer"));
    return "answer" in found ? found.answer : found;
  };
}

const everything = { filter: { text: "", table: null }, offset: 0, limit: 200 };

test("from set-up to a settled conflict, without a terminal", async (t) => {
  const folder = await place(t);
  const school = node(folder, "school-server");
  const venue = node(folder, "venue-server");
  school.begin(20);
  await school.agent(t);
  venue.table(10);
  const ask = await asking(t, venue.environment);

  // A node, and its file: first looked at, then attached.
  await ask("init", { name: "venue-server" });
  const files = [{ name: "scouting", file: venue.file }];
  const found = await ask("inspect", { files });
  assert.deepEqual(
    found.tables.map((table) => [table.table, table.rows, table.synced]),
    [["team", "10", true]],
  );
  assert.deepEqual(readdirSync(join(venue.environment.LOCKSTEP_HOME, "backups")), [], "the copy is gone");
  assert.equal((await ask("status")).databases.length, 0, "nothing was attached");
  const attached = await ask("attach", {
    files,
    accepted: [],
    tables: [],
    left_out: [],
    wal: false,
    backup: true,
  });
  assert.equal(attached.databases[0].rows, "10");
  assert.match(attached.databases[0].backup, /backups/);

  // A pair: the invite goes one way.
  const { invite } = JSON.parse(school.lockstep(["invite", "--json"]));
  const read = await ask("read_invite", { invite });
  assert.match(read.address, /^127\.0\.0\.1:/);
  const pairing = { invite, as: "school", share: [], origin: null, prefer: null };
  const preview = await ask("preview_pair", pairing);
  assert.equal(preview.peer, "school");
  assert.deepEqual(
    JSON.parse(school.lockstep(["peers", "--json"])).peers,
    [],
    "who only looks is listed nowhere",
  );
  const paired = await ask("pair", pairing);
  assert.equal(paired.peers[0].verified, true, JSON.stringify(paired));
  assert.deepEqual(
    (await ask("peers")).map((peer) => peer.name),
    ["school"],
  );

  // A conflict: both write one cell while they rest.
  await ask("pause", { for: "resumed" });
  school.lockstep(["pause"]);
  school.sql("UPDATE team SET name = 'at school' WHERE id = 1");
  venue.sql(
    "UPDATE team SET name = 'at the venue' WHERE name = '<img src=x onerror=fail()> school-server 1'",
  );
  const pending = await ask("pending", { peer: null, ...everything });
  assert.deepEqual(
    [pending.total, pending.items[0].operation, pending.items[0].peers],
    ["1", "update", ["school"]],
  );
  const run = await ask("sync_now", { peer: "school" });
  assert.equal(run.peers[0].conflicts, "1", JSON.stringify(run));

  const list = await ask("conflicts", { state: "auto", ...everything });
  assert.deepEqual(list.counts, { held: "0", auto: "1", reviewed: "0" });
  const { id, row } = list.items[0];
  const conflict = await ask("conflict", { id, reveal: false });
  const name = conflict.columns[0];
  assert.deepEqual([name.column, name.differs, name.now.text], ["name", true, name.a.text]);
  assert.deepEqual([name.a.text, name.b.text].sort(), ["at school", "at the venue"]);

  const decided = await ask("decide", {
    decisions: [{ id, keep: { kind: "columns", columns: [{ column: "name", side: "b" }] } }],
    anyway: false,
  });
  assert.deepEqual([decided.decided, decided.refused], [[id], []]);
  const settled = await ask("conflict", { id, reveal: false });
  assert.equal(settled.columns.find((column) => column.column === "name").now.text, name.b.text);
  assert.equal((await ask("status")).conflicts_unreviewed, "0");

  // It is a write: it travels, it stands in the row's history, and it can be taken back.
  await ask("sync_now", { peer: "school" });
  assert.equal(school.sql("SELECT name FROM team WHERE id = 1"), name.b.text);
  const history = await ask("history", { row, offset: 0, limit: 200, reveal: false });
  assert.equal(history.items[0].columns.find((c) => c.column === "name").value.text, name.b.text);
  const undone = await ask("undo", { id, anyway: true });
  assert.deepEqual(undone.refused, []);
  assert.equal(
    (await ask("conflict", { id, reveal: false })).columns.find((c) => c.column === "name").now.text,
    name.a.text,
  );

  // The plan of what goes there and what comes, applied as it was shown; one that has moved is refused whole.
  venue.sql("UPDATE team SET name = 'planned here' WHERE id = 3");
  school.sql("UPDATE team SET name = 'planned there' WHERE id = 4");
  const plan = await ask("plan", { peer: "school" });
  assert.deepEqual([plan.incoming.updates, plan.many_deletes, plan.mismatches], ["1", false, []]);
  assert.deepEqual((await ask("status")).peers[0].coming, "1", "known since it was asked");
  const part = { peer: "school", plan: plan.plan };
  const comes = await ask("plan_rows", { ...part, direction: "incoming", operation: null, ...everything });
  assert.deepEqual([comes.total, comes.items[0].from, comes.items[0].columns], ["1", "school", ["name"]]);
  const [change] = await ask("plan_row", { ...part, id: comes.items[0].id, reveal: false });
  assert.deepEqual([change.after.text, change.changed], ["planned there", true]);
  school.sql("UPDATE team SET name = 'later' WHERE id = 4");
  const all = { choice: { kind: "all" } };
  assert.equal((await ask("apply_plan", { ...part, ...all })).refused.code, "plan_moved");
  const again = await ask("plan", { peer: "school" });
  const applied = await ask("apply_plan", { peer: "school", plan: again.plan, ...all });
  assert.equal(applied.peers[0].verified, true, JSON.stringify(applied));
  assert.equal(school.sql("SELECT count(*) FROM team WHERE name = 'planned here'"), "1");

  // All conflicts of a kind by one decision, shown first.
  for (const [who, name] of [
    [school, "all there"],
    [venue, "all here"],
  ])
    who.sql(`UPDATE team SET name = '${name}' WHERE name IN ('planned here', 'later')`);
  await ask("sync_now", { peer: "school" });
  const clashed = (await ask("conflicts", { state: "auto", ...everything })).items;
  assert.equal(clashed.length, 2);
  const kind = { id: clashed[0].id, side: "b" };
  const alike = await ask("alike", { ...kind, reveal: false });
  assert.deepEqual([alike.conflicts, alike.rows.length], ["2", 2]);
  assert.equal((await ask("decide_alike", { ...kind, plan: "another" })).refused.code, "plan_moved");
  const decidedAll = await ask("decide_alike", { ...kind, plan: alike.plan });
  assert.deepEqual([decidedAll.decided.length, decidedAll.refused], [2, []]);

  // Rows are found, and a version is not brought back over a write that was not seen.
  const found2 = await ask("find_rows", {
    filter: { text: row.key, table: "scouting.team" },
    offset: 0,
    limit: 200,
    reveal: false,
  });
  assert.ok(found2.items.some((one) => one.row.key === row.key && one.lives));
  const shown = await ask("history", { row, offset: 0, limit: 200, reveal: false });
  venue.sql(`UPDATE team SET name = 'unseen' WHERE id = ${row.key}`);
  const version = shown.items.find((one) => one.restorable).id;
  const restore = { row, version, seen: shown.items[0].id, children: false };
  assert.equal((await ask("restore", { ...restore, anyway: false })).refused.code, "row_changed");
  assert.deepEqual(await ask("restore", { ...restore, anyway: true }), { key: row.key, children: "0" });

  // How a table is synced, who is reviewed, what is kept.
  const [table] = await ask("tables");
  assert.deepEqual([table.table, table.columns, table.config.guard], ["team", ["id", "name"], null]);
  const config = { ...table.config, policy: "review", guard: { rows: "5", share: "0.5" } };
  const say = { database: "scouting", table: "team" };
  assert.equal(await ask("configure", { ...say, config }), null);
  assert.deepEqual((await ask("tables"))[0].config, config);
  const mismatch = (await ask("plan", { peer: "school" })).mismatches[0];
  assert.deepEqual([mismatch.table, mismatch.kind], ["team", "config_differs"]);
  assert.equal(
    (await ask("configure", { ...say, config: { ...config, identity: ["name"] } })).refused.code,
    "settled",
  );
  assert.equal(await ask("configure", { ...say, config: table.config }), null);
  assert.equal(await ask("set_peer_review", { peer: "school", review: true }), null);
  assert.equal((await ask("peers"))[0].review, true);
  assert.equal(await ask("set_peer_review", { peer: "school", review: false }), null);
  assert.equal(await ask("set_setting", { key: "guard.rows", value: "5" }), null);
  assert.equal((await ask("cleanup", { dry_run: true, days: 30 })).removed.length, 4);

  // What the guard holds, row by row.
  await ask("sync_now", { peer: "school" });
  school.sql("DELETE FROM team WHERE id BETWEEN 8 AND 19");
  await ask("sync_now", { peer: "school" });
  const [guarded] = await ask("guarded");
  assert.equal(guarded.rows, "12");
  const rows = await ask("guarded_rows", { id: guarded.id, offset: 0, limit: 5 });
  assert.deepEqual([rows.total, rows.items.length], ["12", 5]);
  const held = (await ask("quarantine", { reason: "guard", ...everything })).items[0];
  const goes = await ask("held_row", { id: held.id, reveal: false });
  assert.ok(goes.every((column) => column.changed && column.after === null));
  const another = { id: "another", keep: true };
  assert.match((await ask("decide_deletes", another)).refused.message, /another/);
  assert.equal(await ask("decide_deletes", { id: guarded.id, keep: true }), null);
  await ask("sync_now", { peer: "school" });
  assert.equal(
    school.sql("SELECT count(*) FROM team WHERE id BETWEEN 8 AND 19"),
    "12",
    "they live there, too",
  );

  // What was done is on record.
  const runs = await ask("runs", { peer: "school", day: null, result: null, offset: 0, limit: 200 });
  assert.equal(runs.items.at(-1).trigger, "pair");
  const details = await ask("run", { id: runs.items[0].id });
  assert.deepEqual(details.tables, [{ database: "scouting", table: "team", state: "equal" }]);
  const told = await ask("diagnostics", { id: runs.items[0].id });
  assert.match(told, /Run \d+ with school: verified/);
  assert.doesNotMatch(told, /unseen|planned|at the venue|onerror/, "no value");
  const rates = await ask("rates", { days: 30 });
  assert.equal(rates[0].runs, runs.total);
  const settings = await ask("settings");
  assert.ok(settings.some((setting) => setting.key === "retention.runs" && setting.kind === "duration"));
  assert.match(
    (await ask("set_setting", { key: "retention.runs", value: "soon" })).refused.code,
    /bad_setting/,
  );
  assert.deepEqual((await ask("quarantine", { reason: null, ...everything })).items, []);
  assert.deepEqual(await ask("guarded"), []);
});

test("a row that was changed past the capture is named, told and held; the balance adds up", async (t) => {
  const folder = await place(t);
  const school = node(folder, "school-server");
  const venue = node(folder, "venue-server");
  school.begin(20);
  await school.agent(t);
  venue.begin(1);
  const { invite } = JSON.parse(school.lockstep(["invite", "--json"]));
  venue.lockstep(["pair", "-", "--yes", "--as", "school"], invite);
  const ask = await asking(t, venue.environment);
  const peer = "school";

  const equal = await ask("compare", { peer });
  assert.equal(equal.equal, true, JSON.stringify(equal));
  const [same] = equal.tables;
  assert.deepEqual([same.table, same.state, same.here, same.here.rows], ["team", "equal", same.there, "21"]);
  const well = await ask("verify", { peer: null });
  assert.deepEqual([well.equal, well.differs, well.lost], [true, [], "0"], JSON.stringify(well));

  // As a tool would that drops triggers, writes, and puts them back.
  const key = venue.sql("SELECT id FROM team WHERE name LIKE '%school-server 7'");
  const triggers = "FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'team'";
  const names = venue.sql(`SELECT name ${triggers}`).split("\n");
  const makes = names.map((name) => venue.sql(`SELECT sql ${triggers} AND name = '${name}'`));
  assert.ok(names.length > 0);
  venue.sql(
    ...names.map((name) => `DROP TRIGGER "${name}"`),
    `UPDATE team SET name = 'odd one' WHERE id = ${key}`,
    ...makes,
  );

  const found = await ask("compare", { peer });
  const [team] = found.tables;
  assert.deepEqual(
    [found.equal, team.table, team.state, team.different, team.only_here, team.only_there],
    [false, "team", "different", "1", "0", "0"],
  );
  assert.match(team.because, /1 row differs/);
  const table = { peer, database: "scouting", table: "team" };
  const rows = await ask("compare_rows", { ...table, difference: "different", ...everything });
  assert.deepEqual([rows.total, rows.items[0].row.key, rows.items[0].columns], ["1", key, ["name"]]);
  const none = await ask("compare_rows", { ...table, difference: "only_here", ...everything });
  assert.deepEqual(none, { items: [], total: "0" });
  const named = { peer, row: rows.items[0].row, difference: "different", reveal: false };
  const [name] = await ask("compared_row", named);
  assert.deepEqual([name.column, name.changed, name.before.text], ["name", true, "odd one"]);
  assert.match(name.after.text, /school-server 7$/);
  const other = { ...named, row: { ...named.row, key: "no such" } };
  assert.equal((await ask("compared_row", other)).refused.code, "comparison_unknown");

  const told = await ask("verify", { peer });
  assert.equal(told.equal, false);
  assert.deepEqual(
    told.differs.map((one) => [one.database, one.table, one.peer, one.state]),
    [["scouting", "team", "school", "differs"]],
  );
  assert.deepEqual([told.peers[0].peer, told.peers[0].equal, told.peers[0].error], ["school", false, null]);
  assert.equal(told.held, "1");
  const conflicts = await ask("conflicts", { state: "held", ...everything });
  assert.deepEqual([conflicts.items[0].kind, conflicts.items[0].row.key], ["difference", key]);

  const balance = await ask("balance");
  assert.deepEqual([balance.databases[0].database, balance.lost, balance.because], ["scouting", "0", null]);
  const { total, ...accounts } = balance.databases[0].balance;
  const sum = Object.values(accounts).reduce((all, one) => all + BigInt(one), 0n);
  assert.deepEqual([String(sum), BigInt(total) > 0n], [total, true]);

  // Who can't be asked is said to be so.
  assert.equal((await ask("compare", { peer: "nobody" })).refused.code, "unknown_peer");
});

test("what is asked wrongly is refused, and nothing happens", async (t) => {
  const school = node(await place(t), "school-server");
  school.begin(3);
  const ask = await asking(t, school.environment);
  assert.equal((await ask("conflict", { id: "nothing", reveal: false })).refused.code, "unknown_conflict");
  assert.match((await ask("read_invite", { invite: "lockstep:nonsense" })).refused.code, /invite_malformed/);
  const twice = {
    files: [{ name: "bad name", file: school.file }],
    accepted: [],
    tables: [],
    left_out: [],
    wal: false,
    backup: false,
  };
  assert.equal((await ask("attach", twice)).refused.code, "bad_name");
  // A value in a decision is no part of it.
  const smuggled = {
    decisions: [{ id: "x", keep: { kind: "side", side: "a", value: "mine" } }],
    anyway: true,
  };
  assert.match(String((await ask("decide", smuggled)).refused), /unknown field|invalid args/);
});
