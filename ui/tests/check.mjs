// What must hold of the page in whatever state it is: nothing that axe finds, no error, no violation of the content
// security policy, nothing that is wider than the window.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { settled } from "./browser.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Ways to look at a screen. */
export const LOOKS = {
  light: {},
  dark: { theme: "dark" },
  large: { text: 200 },
  small: { width: 720, height: 520 },
  "small, large and dark": { width: 720, height: 520, text: 200, theme: "dark" },
};

/** Opens a scene, does what is to be done there, looks for what is wrong, and closes it. */
export async function check(browser, scene, look, act = null) {
  const { page, wrong, close } = await browser.visit(scene, look);
  try {
    await settled(page);
    if (act) {
      await act(page);
      await settled(page);
    } else {
      const focus = await page.evaluate(() => document.activeElement?.tagName);
      assert.equal(focus, "BODY", "nothing takes the focus by itself");
    }
    // Evaluated by the debugger, which the page's policy does not bind.
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map((n) => `${n.html} ${n.failureSummary}`).join("\n")}`,
      );
    });
    const wide = await page.evaluate(() => {
      const over = (of) =>
        of.scrollWidth > of.clientWidth + 1 ? [`${of.tagName} is ${of.scrollWidth} wide`] : [];
      const all = document.querySelectorAll("html, main, nav, header, dialog[open]");
      return [...all].flatMap(over);
    });
    assert.deepEqual([...found, ...wide, ...wrong], [], scene);
  } finally {
    await close();
  }
}
