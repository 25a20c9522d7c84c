// The console's window as a person meets it: the real program, a real WebKit, a real node.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { openConsole, until } from "./webdriver.mjs";

const programs = resolve(process.env.CARGO_TARGET_DIR ?? "target", "debug");

/** A folder for one test, with the `lockstep` command of its node. */
async function place() {
  const folder = await mkdtemp(join(tmpdir(), "lockstep-console-"));
  const home = join(folder, "home");
  const environment = { LOCKSTEP_HOME: home };
  const lockstep = (...args) =>
    execFileSync(join(programs, "lockstep"), args, { env: { ...process.env, ...environment }, encoding: "utf8" });
  return { folder, environment, lockstep };
}

async function open(t, environment) {
  const window = await openConsole(join(programs, "lockstep-console"), environment);
  t.after(window.close);
  return window;
}

test("without a node the window says so, and what to do", async (t) => {
  const { environment } = await place();
  const window = await open(t, environment);

  assert.equal(await window.text("h1"), "This computer has no node yet");
  const page = await window.text("main");
  assert.match(page, /There is no node in /);
  assert.match(page, /lockstep init --name/);
});

test("the window shows the state of the real node", async (t) => {
  const { folder, environment, lockstep } = await place();
  const file = join(folder, "scouting.db");
  execFileSync("python3", [
    "-c",
    "import sqlite3, sys\n" +
      "db = sqlite3.connect(sys.argv[1])\n" +
      "db.execute('CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT)')\n" +
      "db.executemany('INSERT INTO team (name) VALUES (?)', [('<img src=x onerror=fail()>',)] * 1234)\n" +
      "db.commit()",
    file,
  ]);
  lockstep("init", "--name", "school-server");
  lockstep("attach", `scouting=${file}`, "--no-backup");
  const window = await open(t, environment);

  assert.equal(await window.text("h1"), "No other node is paired yet");
  assert.match(await window.text("header"), /school-server/);
  const databases = await window.text("[aria-labelledby=databases]");
  assert.match(databases, /scouting\n.*scouting\.db/);
  assert.match(databases, /Rows\n1,234/);
});

test("the page can't do more than it was given", async (t) => {
  const { environment } = await place();
  const window = await open(t, environment);
  await window.text("h1");

  // Set by hand, since the bridge answers later than the script that asks.
  const answer = async (command) => {
    await window.script(
      "window.answer = undefined;" +
        "window.__TAURI_INTERNALS__.invoke(arguments[0]).then(() => (window.answer = 'allowed')," +
        "(refusal) => (window.answer = JSON.stringify(refusal)))",
      command,
    );
    return until("an answer", () => window.script("return window.answer"));
  };
  assert.match(await answer("status"), /no_node/);
  for (const command of ["plugin:app|version", "plugin:window|close", "plugin:path|resolve_directory", "not_there"]) {
    assert.match(await answer(command), /not allowed/, command);
  }

  await window.script(
    "window.broken = [];" +
      "document.addEventListener('securitypolicyviolation', (e) => window.broken.push(e.effectiveDirective));" +
      "document.body.insertAdjacentHTML('beforeend'," +
      " '<img src=x onerror=\"window.ran = true\"><p id=inline style=\"color: rgb(1, 2, 3)\">styled</p>')",
  );
  const broken = await until("the refusals", async () => {
    const found = await window.script("return window.broken");
    return found.length >= 2 && found;
  });
  assert.ok(broken.some((directive) => directive.startsWith("script-src")), String(broken));
  assert.ok(broken.some((directive) => directive.startsWith("style-src")), String(broken));
  assert.equal(await window.script("return window.ran ?? null"), null);
});
