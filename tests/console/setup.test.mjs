// From set-up to a settled conflict, as two people do it: two windows, the application's files, and no terminal.
import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { answer } from "./dialog.mjs";
import { open, place, scouting, sql } from "./nodes.mjs";
import { until } from "./webdriver.mjs";

/** A name for the server, the application's files, what is in them, a backup, and they are attached. */
async function setUp(window, name, files) {
  await window.press("Set up");
  await window.type("Name", name);
  await window.press("Continue");
  await window.says(/Which databases does the application use\?/);

  await window.press("Choose files");
  await answer("Choose the application's databases", files.scouting);
  await window.says(/scouting\.db/);
  await window.press("Choose more");
  await answer("Choose the application's databases", files.users);
  await window.press("Look into them");
  await window.says(/\d+ tables with [\d,]+ rows/);
  // What the application's tables don't say of themselves, and a person knows.
  await window.press("scouting.team: Recognise the same row by team_number, scouting_team_number");
  await window.press("Attach 2 databases");
  await window.says(/Invite the other server/);
}

test("two people pair their servers, disagree, and settle it", async (t) => {
  const folder = await place(t);
  const [a, b] = scouting(folder);
  // Nobody has written a configuration: what the tables don't say is clicked.
  for (const { config } of [a, b]) await rm(config);
  const school = await open(t, a.environment);
  await setUp(school, "school-server", a.files);
  const venue = await open(t, b.environment);
  await setUp(venue, "venue-server", b.files);

  // The school invites, the venue joins: the invite goes by hand, as a file.
  const invite = join(folder, "invite.lockstep");
  await school.press("Save an invite as a file");
  await answer("Save the invite", invite);
  await school.says(/The invite is saved/);
  await venue.press("I have an invite");
  await venue.type("Paste the invite", (await readFile(invite, "utf8")).trim());
  await venue.press("Read it");
  await venue.type("Call it", "school-server");
  await venue.press("See what would happen");
  await venue.says(/What pairing with school-server would mean/);
  await venue.press("Pair with school-server and sync");
  await venue.says(/Paired with school-server/);
  await venue.press("To the overview");
  await venue.says(/Paired servers/);
  await school.press("Overview");
  await school.says(/venue-server\nIn step/);

  // While both rest, two people of the application write one cell.
  for (const window of [school, venue]) {
    await window.press("More ways to sync");
    await window.press("Pause until resumed");
    await window.says(/Background sync is paused/);
  }
  const team = "team_number = 101 AND scouting_team_number = 5454";
  sql(a.files.scouting, `UPDATE team SET location = 'Riverside' WHERE ${team}`);
  sql(b.files.scouting, `UPDATE team SET location = 'Hillside' WHERE ${team}`);

  // It is looked at before it is decided: both sides by their servers.
  await venue.press("Sync now");
  await venue.says(/1 conflict/);
  await venue.press("Conflicts");
  await venue.press("Decided automatically");
  await venue.type("Filter tables and keys", "location");
  await venue.says(/Both changed it/);
  await venue.says(/Riverside/);
  await venue.says(/Hillside/);
  await venue.press("Keep school-server's");
  await venue.says(/1 decision made, not applied yet/);
  const shown = (files) => sql(files.scouting, `SELECT location FROM team WHERE ${team}`);
  assert.deepEqual([shown(a.files), shown(b.files)], ["Hillside", "Hillside"], "the later one, so far");
  await venue.press("Apply…");
  await venue.press("Apply");
  await until("the decision here", () => shown(b.files) === "Riverside");

  // It is a write like any other: the school gets it as soon as nobody rests.
  for (const window of [school, venue]) {
    await window.press("More ways to sync");
    await window.press("Resume background sync");
  }
  await until("the decision there", () => shown(a.files) === "Riverside");
  await school.press("Conflicts");
  await school.press("Settled");
  await school.says(/Riverside/);
  for (const { lockstep } of [a, b]) assert.equal(JSON.parse(lockstep(["verify", "--json"])).equal, true);
});
