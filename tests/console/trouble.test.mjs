// What goes wrong while the window is open: a plan that has moved, a schema that differs, a server that goes away.
import assert from "node:assert/strict";
import { test } from "node:test";
import { met, open, sql } from "./nodes.mjs";
import { until } from "./webdriver.mjs";

test("a window that is open while things go wrong", async (t) => {
  const [school, venue] = await met(t);
  const here = (statement) => sql(school.files.scouting, statement);
  const there = (statement) => sql(venue.files.scouting, statement);
  const level = "SELECT DISTINCT level FROM event";
  const window = await open(t, school.environment);

  await t.test("a plan that has moved is refused whole, and made anew", async () => {
    there("UPDATE event SET location = 'as planned' WHERE id = 1");
    await window.press("Pending");
    await window.says(/as planned/);
    there("UPDATE event SET location = 'as it is now' WHERE id = 1");
    await window.press("Apply all…");
    await window.press("Apply");
    await window.says(/Something moved since the plan was made; nothing was applied/);
    const shown = "SELECT count(*) FROM event WHERE location IN ('as planned', 'as it is now')";
    assert.equal(here(shown), "0");
    await window.press("Make the plan anew");
    await window.says(/as it is now/);
    await window.press("Apply all…");
    await window.press("Apply");
    await until("the plan to be applied", () => here(shown) !== "0");
    await window.says(/Nothing is pending with venue-server/);
  });

  await t.test("a table that one side has migrated is named, and waits for the other", async () => {
    there("ALTER TABLE event ADD COLUMN level TEXT");
    there("UPDATE event SET level = 'district'");
    await window.press("Sync now");
    await window.press("Pending");
    await window.says(/scouting\.event differs between the two servers/);
    await window.press("Conflicts");
    await window.press("Quarantine");
    await window.says(/Column is missing/);
    here("ALTER TABLE event ADD COLUMN level TEXT");
    await window.press("Sync now");
    await until("the column's values", () => here(level) === "district");
    await window.press("Pending");
    await window.says(/Nothing is pending with venue-server/);
  });

  await t.test("a server that goes away is said to be, and comes back by itself", async () => {
    for (const { lockstep } of [school, venue]) lockstep(["resume"]);
    await window.press("Overview");
    await window.says(/venue-server\n(In step|Holds)/);
    const { address } = venue.running;
    await venue.running();
    there("UPDATE event SET level = 'while away'");
    await window.press("Sync now");
    await window.says(/venue-server\nOut of reach/);
    assert.match(await window.text("[aria-labelledby=peers]"), /Last verified\s+\d+ (s|min) ago|just now/);
    await venue.agent(t, address);
    await until("what was written meanwhile", () => here(level) === "while away");
    await window.says(/venue-server\n(In step|Holds)/);
  });
});
