// Every state of every screen in a real browser: nothing that axe finds, no error, no violation of the content
// security policy, nothing that is wider than the window; light and dark, large text, the smallest window.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { openBrowser, settled } from "./browser.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const LOOKS = {
  light: {},
  dark: { theme: "dark" },
  large: { text: 200 },
  small: { width: 720, height: 520 },
  "small, large and dark": { width: 720, height: 520, text: 200, theme: "dark" },
};
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

/** Opens a scene, looks for what is wrong, and closes it. */
async function check(scene, look) {
  const { page, wrong, close } = await browser.open(scene, look);
  try {
    await settled(page);
    // Evaluated by the debugger, which the page's policy does not bind.
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map((n) => `${n.html} ${n.failureSummary}`).join("\n")}`,
      );
    });
    // Nothing takes the focus by itself.
    const focus = await page.evaluate(() => document.activeElement?.tagName);
    const wide = await page.evaluate(() => {
      const over = (of) =>
        of && of.scrollWidth > of.clientWidth + 1 ? [`${of.tagName} is ${of.scrollWidth} wide`] : [];
      return [document.documentElement, ...document.querySelectorAll("main, nav, header")].flatMap(over);
    });
    assert.deepEqual([...found, ...wide, ...wrong, focus], ["BODY"], scene);
  } finally {
    await close();
  }
}

test("every scene", async (t) => {
  const { page, close } = await browser.open("fine");
  const scenes = await page.evaluate(() => globalThis.scenes);
  await close();
  assert.ok(scenes.length > 60, `${scenes.length} scenes`);
  for (const scene of scenes) await t.test(scene, () => check(scene, LOOKS.light));
});

for (const [name, look] of Object.entries(LOOKS)) {
  if (name === "light") continue;
  test(`every screen, ${name}`, async (t) => {
    for (const scene of MAIN) await t.test(scene, () => check(scene, look));
  });
}
