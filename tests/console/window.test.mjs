// The console's window as a person meets it: the real program, a real WebKit, a real node.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { node, open, place } from "./nodes.mjs";
import { until } from "./webdriver.mjs";

/** What axe finds in the window as it is, colours included, in light and in dark. */
async function shutsOut(window) {
  await window.script((await readFile("ui/node_modules/axe-core/axe.min.js", "utf8")) + "; window.axe = axe");
  const found = [];
  for (const theme of ["light", "dark"]) {
    await window.script(
      "document.documentElement.dataset.theme = arguments[0]; window.findings = undefined;" +
        "window.axe.run(document).then((r) => (window.findings =" +
        " r.violations.flatMap((v) => v.nodes.map((n) => v.id + ' in ' + arguments[0] + ': ' + n.html))))",
      theme,
    );
    found.push(...(await until("axe", () => window.script("return window.findings"))));
  }
  return found;
}

test("without a node the window says so, and what to do", async (t) => {
  const window = await open(t, node(await place(t), "nowhere").environment);

  assert.equal(await window.text(".headline h1"), "This computer has no node yet");
  const page = await window.text("main");
  assert.match(page, /There is no node in /);
  assert.match(page, /Set up/);
});

test("the window shows the state of the real node", async (t) => {
  const school = node(await place(t), "school-server");
  school.begin(1234);
  const window = await open(t, school.environment);

  assert.equal(await window.text(".headline h1"), "No other node is paired yet");
  assert.match(await window.text("header"), /school-server/);
  const databases = await window.text("[aria-labelledby=databases]");
  assert.match(databases, /scouting\n.*school-server\.db/);
  assert.match(databases, /Rows\n1,234/);
  assert.deepEqual(await shutsOut(window), []);
});

test("Sync now makes two servers one, and says when a server is gone", async (t) => {
  const folder = await place(t);
  const school = node(folder, "school-server");
  const venue = node(folder, "venue-server");
  school.begin(20);
  venue.begin(30);
  const stop = await school.agent(t);
  venue.lockstep(["pair", "-", "--yes"], JSON.parse(school.lockstep(["invite", "--json"])).invite);

  const window = await open(t, venue.environment);
  assert.equal(await window.text(".headline h1"), "Everything is in step");
  assert.match(await window.text("[aria-labelledby=databases]"), /Rows\n50/);
  assert.match(await window.text("[aria-labelledby=peers]"), /school-server\nIn step/);

  // Both would bring what follows over by themselves.
  venue.lockstep(["pause"]);
  school.lockstep(["pause"]);
  await window.reads(".headline h1", /^Sync is paused/);
  school.sql("UPDATE team SET name = 'written at school' WHERE id = 1");
  venue.sql("INSERT INTO team (name) VALUES ('written at the venue')");
  await window.click("button.primary");
  const report = await window.text("[aria-labelledby=run]");
  assert.match(report, /school-server\s+Verified\s+1 sent, 1 received/);
  await window.reads("[aria-labelledby=databases]", /Rows\n51/);

  await stop();
  venue.sql("DELETE FROM team WHERE id = 2");
  await window.click("button.primary");
  await window.reads("[aria-labelledby=run]", /Did not work/);
  await window.reads(".headline h1", /^school-server can't be reached$/);
  assert.match(await window.text("main"), /1 row will be sent when that changes/);
  assert.deepEqual(await shutsOut(window), []);
});

test("the page can't do more than it was given", async (t) => {
  const window = await open(t, node(await place(t), "nowhere").environment);
  await window.text(".headline h1");

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
  for (const command of [
    "plugin:app|version",
    "plugin:window|close",
    "plugin:path|resolve_directory",
    "not_there",
  ]) {
    assert.match(await answer(command), /not allowed/, command);
  }

  await window.script(
    "window.broken = [];" +
      "document.addEventListener('securitypolicyviolation', (e) => window.broken.push(e.effectiveDirective));" +
      "document.body.insertAdjacentHTML('beforeend'," +
      ' \'<img src=x onerror="window.ran = true"><p id=inline style="color: rgb(1, 2, 3)">styled</p>\')',
  );
  const broken = await until("the refusals", async () => {
    const found = await window.script("return window.broken");
    return found.length >= 2 && found;
  });
  assert.ok(
    broken.some((directive) => directive.startsWith("script-src")),
    String(broken),
  );
  assert.ok(
    broken.some((directive) => directive.startsWith("style-src")),
    String(broken),
  );
  assert.equal(await window.script("return window.ran ?? null"), null);
});
