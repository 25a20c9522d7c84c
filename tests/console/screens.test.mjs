// Each screen of the real window, over two servers of the example that have met and disagree. What the rows hold is
// hostile: it is shown as text everywhere, and the page breaks its policy nowhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import { met, open, sql } from "./nodes.mjs";
import { until } from "./webdriver.mjs";

const HOSTILE = `<img src=x onerror="window.ran = true">`;
const TEAM = "team_number = 101 AND scouting_team_number = 5454";
const rename = (name) => `UPDATE team SET location = '${HOSTILE} ${name}' WHERE ${TEAM}`;
const station = (n) => `UPDATE scouting_data SET scouting_station = ${n}, alliance = '${HOSTILE}'
  WHERE data_json LIKE '%"sd:a0:1"%'`;

test("every screen over two servers that disagree", async (t) => {
  const [school, venue] = await met(t);
  // One conflict that a rule decides, one that waits for a person; then one write on each side that has not passed.
  const both = [school, venue].map(({ files }) => files.scouting);
  both.forEach((file, n) => sql(file, rename(`conflict ${n}`), station(11 + n)));
  school.lockstep(["sync"]);
  both.forEach((file, n) =>
    sql(file, `UPDATE event SET location = '${HOSTILE} pending ${n}' WHERE code = 'CASJ' OR id = ${n + 1}`),
  );

  const window = await open(t, school.environment);
  await window.says(/Waits for you/);
  await window.script(
    "window.broken = [];" +
      "document.addEventListener('securitypolicyviolation', (e) => window.broken.push(e.effectiveDirective + ' ' + e.blockedURI));" +
      "window.addEventListener('error', (e) => window.broken.push(e.message));" +
      "window.addEventListener('unhandledrejection', (e) => window.broken.push(String(e.reason)))",
  );
  /** Opens a screen, does something there, and looks whether anything of a row was more than text. */
  const screen = (name, visit) =>
    t.test(name, async () => {
      await window.press(name);
      await visit();
      assert.deepEqual(await window.script("return window.broken"), []);
      assert.equal(await window.script("return window.ran ?? null"), null);
      assert.equal(await window.script("return document.images.length"), 0);
    });

  await screen("Overview", async () => {
    await window.says(/Values lost\n0/);
    await window.says(/venue-server\n/);
    await window.says(/Runs of the last 30 days/);
    await window.press("See the evidence");
    await window.says(/Nothing is missing/);
    await window.press(/^(Cancel|Close)$/);
  });

  await screen("Pending", async () => {
    await window.says(/To school-server \(\d+\)/);
    await window.says(/<img src=x onerror="window.ran = true"> pending/);
    await window.press("To venue-server");
    await window.says(/Changes to venue-server|scouting\.event/);
    await window.type("Filter tables and keys", "nothing like this");
    await window.says(/No row fits the filter/);
  });

  await screen("Conflicts", async () => {
    await window.says(/scouting_data/);
    await window.press("Decided automatically");
    await window.type("Filter tables and keys", "location");
    await window.says(/Both changed it/);
    await window.says(/<img src=x onerror="window\.ran = true"> conflict 0/);
    await window.says(/<img src=x onerror="window\.ran = true"> conflict 1/);
    await window.press("Keep venue-server's");
    await window.says(/1 decision made, not applied yet/);
    await window.press("Discard");
    await window.press("Quarantine");
    await window.type("Filter tables and keys", "scouting_data");
    await window.says(/Under review/);
  });

  await screen("Runs", async () => {
    await window.says(/Verified/);
    await window.says(/venue-server/);
    await window.says(/Copy diagnostics/);
    assert.doesNotMatch(await window.says(/Export CSV/), /onerror/, "no value in what is told of a run");
  });

  await screen("Compare", async () => {
    await window.says(/scouting\.team\b/);
    await window.says(/Equal/);
    await window.says(/Still moving/);
  });

  await screen("Row history", async () => {
    await window.type("Table", "scouting.team");
    await window.type("Key or identity", "101");
    await window.says(/<img src=x onerror="window\.ran = true"> conflict/);
    await window.says(/Bring back/);
  });

  await screen("Settings", async () => {
    await window.type("Filter tables", "team_event");
    await window.press("team_event");
    await window.type("When two servers clash", "review");
    await window.press(/^Save$/);
    await until("the policy to be kept", () => {
      const config = sql(school.files.scouting, "SELECT v FROM _lockstep_meta WHERE k = 'config'");
      return JSON.parse(config).tables.team_event?.policy === "review";
    });
    await window.press("Servers");
    await window.says(/venue-server/);
    await window.press("Behaviour");
    await window.says(/guard/i);
    await window.press("Appearance");
    await window.says(/Theme/i);
  });

  await screen("Set-up", async () => {
    await window.says(/Paired already: venue-server/);
    await window.press("I have an invite");
    await window.type("Paste the invite", HOSTILE);
    await window.press("Read it");
    await window.says(/That did not work/);
  });
});
