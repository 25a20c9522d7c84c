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
  const attached = await ask("attach", { files, accepted: [], wal: false, backup: true });
  assert.equal(attached.databases[0].rows, "10");
  assert.match(attached.databases[0].backup, /backups/);

  // A pair: the invite goes one way.
  const { invite } = JSON.parse(school.lockstep(["invite", "--json"]));
  const read = await ask("read_invite", { invite });
  assert.match(read.address, /^127\.0\.0\.1:/);
  const pairing = { invite, as: "school", share: [], origin: null, prefer: null };
  const preview = await ask("preview_pair", pairing);
  assert.equal(preview.peer, "school");
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
  assert.equal(school.sql("SELECT name FROM team WHERE id = 1").trim(), name.b.text);
  const history = await ask("history", { row, offset: 0, limit: 200, reveal: false });
  assert.equal(history.items[0].columns.find((c) => c.column === "name").value.text, name.b.text);
  const undone = await ask("undo", { id, anyway: true });
  assert.deepEqual(undone.refused, []);
  assert.equal(
    (await ask("conflict", { id, reveal: false })).columns.find((c) => c.column === "name").now.text,
    name.a.text,
  );

  // What was done is on record.
  const runs = await ask("runs", { peer: "school", day: null, result: null, offset: 0, limit: 200 });
  assert.equal(runs.items.at(-1).trigger, "pair");
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

test("what is asked wrongly is refused, and nothing happens", async (t) => {
  const school = node(await place(t), "school-server");
  school.begin(3);
  const ask = await asking(t, school.environment);
  assert.equal((await ask("conflict", { id: "nothing", reveal: false })).refused.code, "unknown_conflict");
  assert.match((await ask("read_invite", { invite: "lockstep:nonsense" })).refused.code, /invite_malformed/);
  const twice = { files: [{ name: "bad name", file: school.file }], accepted: [], wal: false, backup: false };
  assert.equal((await ask("attach", twice)).refused.code, "bad_name");
  // A value in a decision is no part of it.
  const smuggled = {
    decisions: [{ id: "x", keep: { kind: "side", side: "a", value: "mine" } }],
    anyway: true,
  };
  assert.match(String((await ask("decide", smuggled)).refused), /unknown field|invalid args/);
});
