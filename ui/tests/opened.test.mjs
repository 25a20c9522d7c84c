// What can be opened on the screens, as it usually looks, and in the smallest window with the largest text.
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";
import { check, LOOKS } from "./check.mjs";
import { OPENED } from "./opened.mjs";

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

for (const name of ["light", "small, large and dark"]) {
  test(`opened, ${name}`, async (t) => {
    for (const [what, [scene, act]] of Object.entries(OPENED)) {
      await t.test(what, () => check(browser, scene, LOOKS[name], act));
    }
  });
}
