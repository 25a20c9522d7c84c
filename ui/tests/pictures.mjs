// Takes the pictures of docs/console.md anew: `make pictures`. The scenes stand still, so a picture only changes when
// what it shows does. With a folder as argument: every scene and all that can be
// opened, in every look, to be looked at by a person.
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { openBrowser, settled } from "./browser.mjs";
import { LOOKS } from "./check.mjs";
import { OPENED } from "./opened.mjs";

const DOCS = resolve(import.meta.dirname, "../../docs/pictures");
const SMALL = { width: 1080, height: 640 };
/** What the documents show: a scene, a look, and what is done first. */
const PICTURES = {
  overview: ["conflict", { width: 1080, height: 1150 }],
  pending: ["pendingRows", SMALL],
  conflicts: ["conflictsRows", { width: 1080, height: 720 }, async (page) => page.keyboard.press("2")],
  quarantine: ["conflictsRows", SMALL, async (page) => page.getByRole("tab", { name: /Quarantine/ }).click()],
  runs: ["runsRows", SMALL, async (page) => page.keyboard.press("j")],
  compare: ["compareDiffers", SMALL],
  history: [
    "historyRows",
    { ...SMALL, theme: "dark" },
    async (page) => page.getByRole("combobox", { name: "Table" }).selectOption("scouting.match"),
  ],
  settings: ["settingsAll", SMALL],
  setup: [
    "setupAttach",
    { width: 1080, height: 800 },
    async (page) => {
      await page.getByRole("button", { name: "Choose files…" }).click();
      await page.getByRole("button", { name: "Look into them" }).click();
    },
  ],
};
/** What was found, with one table opened. */
PICTURES["setup-table"] = [
  "setupAttach",
  { width: 1080, height: 900 },
  OPENED["how a table will be synced"][1],
];

const browser = await openBrowser();

async function take(file, scene, look, act) {
  const { page, wrong, close } = await browser.visit(scene, look);
  await settled(page);
  await act?.(page);
  await settled(page);
  await page.screenshot({ path: file });
  if (wrong.length > 0) throw new Error(`${scene}: ${wrong}`);
  await close();
}

try {
  const folder = process.argv[2];
  if (folder === undefined) {
    await mkdir(DOCS, { recursive: true });
    for (const [name, [scene, look, act]] of Object.entries(PICTURES)) {
      await take(join(DOCS, `${name}.png`), scene, look, act);
    }
  } else {
    await mkdir(folder, { recursive: true });
    const { page, close } = await browser.open("fine");
    const scenes = await page.evaluate(() => globalThis.scenes);
    await close();
    for (const [name, look] of Object.entries(LOOKS)) {
      for (const scene of scenes) await take(join(folder, `${scene}-${name}.png`), scene, look);
      for (const [what, [scene, act]] of Object.entries(OPENED)) {
        await take(join(folder, `${what}-${name}.png`.replaceAll(/[' ]/g, "_")), scene, look, act);
      }
    }
  }
} finally {
  await browser.close();
}
