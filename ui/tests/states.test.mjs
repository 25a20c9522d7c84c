// Every state of every screen in a real browser; light and dark, large text, the smallest window.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { check, LOOKS } from "./check.mjs";

/** The main scene of each screen, looked at in every way. */
const MAIN = [
  "conflict",
  "pendingRows",
  "conflictsRows",
  "runsRows",
  "compareDiffers",
  "historyRows",
  "settingsAll",
  "setupAttach",
];

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

test("every scene", async (t) => {
  const { page, close } = await browser.open("fine");
  const scenes = await page.evaluate(() => globalThis.scenes);
  await close();
  assert.ok(scenes.length > 80, `${scenes.length} scenes`);
  for (const scene of scenes) await t.test(scene, () => check(browser, scene, LOOKS.light));
});

for (const [name, look] of Object.entries(LOOKS)) {
  if (name === "light") continue;
  test(`every screen, ${name}`, async (t) => {
    for (const scene of MAIN) await t.test(scene, () => check(browser, scene, look));
  });
}
