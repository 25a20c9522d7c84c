// What only a real browser can show: a long list, the keys, the clipboard, attacks in values, where the focus is.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, settled } from "./browser.mjs";

const ATTACK = "<img src=x onerror=alert(1)>";
const MILLION = 1_000_000;
/** What writes, decides or removes anything. */
const WRITES = [
  "syncNow",
  "applyPlan",
  "allowDeletes",
  "decide",
  "decideAlike",
  "undo",
  "markReviewed",
  "retryHeld",
  "allowHeld",
  "restore",
  "attach",
  "detach",
  "invite",
  "pair",
  "configure",
  "setShare",
  "setPeerReview",
  "retirePeer",
  "setSetting",
  "cleanup",
  "setStartAtLogin",
  "pause",
];

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

/** A scene for one test; what went wrong in it fails the test. */
async function open(t, scene, look) {
  const { page, wrong, close } = await browser.open(scene, look);
  t.after(async () => {
    await close();
    assert.deepEqual(wrong, []);
  });
  await settled(page);
  return page;
}

for (const text of [100, 200]) {
  test(`a million rows scroll with few of them in the page, text at ${text} %`, async (t) => {
    const page = await open(t, "pendingMillion", { text });
    const grid = page.getByRole("grid");
    assert.equal(await grid.getAttribute("aria-rowcount"), String(MILLION + 1));
    const view = grid.getByRole("rowgroup").nth(1);
    await view.evaluate((of) => of.scrollIntoView({ block: "center" }));
    for (const share of [0.5, 0.25, 1]) {
      await view.evaluate((of, share) => (of.scrollTop = of.scrollHeight * share), share);
      await settled(page);
      const inPage = await grid.getByRole("row").count();
      assert.ok(inPage > 3 && inPage < 200, `${inPage} rows in the page`);
      const middle = await view.evaluate((of) => {
        const { left, top, height } = of.getBoundingClientRect();
        const row = document.elementFromPoint(left + 60, top + height / 2)?.closest("[role=row]");
        return [Number(row?.getAttribute("aria-rowindex")), row?.textContent];
      });
      assert.ok(Math.abs(middle[0] / MILLION - share) < 0.01, `${share} shows ${middle}`);
      assert.match(middle[1], /insert.*scouting_data/);
    }
    assert.equal(await grid.getByRole("row").last().getAttribute("aria-rowindex"), String(MILLION + 1));

    // The keys go on from there, and the row stays in view.
    await view.evaluate((of) => (of.scrollTop = 0));
    await page.keyboard.press("j");
    await grid.focus();
    await page.keyboard.press("End");
    await settled(page);
    const last = grid.locator(`[aria-rowindex="${MILLION + 1}"]`);
    assert.ok(await last.isVisible());
    await page.keyboard.press("k");
    await settled(page);
    assert.equal(await grid.locator(".current").getAttribute("aria-rowindex"), String(MILLION));
    const debug = await page.context().newCDPSession(page);
    await debug.send("Performance.enable");
    const { metrics } = await debug.send("Performance.getMetrics");
    const heap = metrics.find((one) => one.name === "JSHeapUsedSize").value;
    assert.ok(heap < 100e6, `${heap} bytes`);
  });
}

test("what a row or a person put there is text on every screen", async (t) => {
  const { page: first, close } = await browser.open("fine");
  const scenes = (await first.evaluate(() => globalThis.scenes)).filter((name) => /hostile/i.test(name));
  await close();
  assert.equal(scenes.length, 8, "one for each screen");
  for (const scene of scenes) {
    await t.test(scene, async (t) => {
      const page = await open(t, scene);
      const tabs = await page.getByRole("tab").all();
      for (const tab of tabs.length > 0 ? tabs : [null]) {
        await tab?.click();
        await settled(page);
        assert.equal(await page.locator("img, body script").count(), 0);
      }
      assert.ok((await page.locator("body").innerText()).includes("<"));
      if (scene !== "hostile") assert.ok((await page.locator("body").textContent()).includes(ATTACK));
    });
  }
});

test("no single key writes, decides or removes anything", async (t) => {
  const scenes = ["conflict", "pendingRows", "conflictsRows", "runsRows", "compareDiffers", "historyRows"];
  for (const scene of [...scenes, "settingsAll", "setupPair"]) {
    await t.test(scene, async (t) => {
      const page = await open(t, scene);
      const keys = [..."abcdefghijklmnopqrstuvwxyz0123456789", "Delete", "Backspace", "Enter", " ", "Escape"];
      for (const key of keys) {
        await page.keyboard.press(key);
        // What a key opened has the keys now: away with it.
        if (await page.locator("dialog[open]").count()) await page.keyboard.press("Escape");
      }
      const written = (await page.evaluate(() => globalThis.calls)).filter((call) => WRITES.includes(call));
      assert.deepEqual(written, []);
    });
  }
});

test("Ctrl and a digit open the screens; F5 compares, F9 syncs", async (t) => {
  const page = await open(t, "fine");
  const names = ["Overview", "Pending", "Conflicts", "Runs", "Compare", "Row history", "Settings", "Set-up"];
  for (const [n, name] of names.entries()) {
    await page.keyboard.press(`Control+${n + 1}`);
    const current = page.locator("nav [aria-current=page] .name");
    assert.equal(await current.innerText(), name);
  }
  await page.keyboard.press("F5");
  await page.getByRole("heading", { level: 1, name: "Compare" }).waitFor();
  await page.getByText("hold the same in every table").waitFor();
  await page.keyboard.press("F9");
  await page.getByRole("heading", { name: "Sync just now" }).waitFor();
});

test("/ goes to the filter, and letters typed there are only letters", async (t) => {
  const page = await open(t, "conflictsRows");
  const current = () => page.locator(".row.current").getAttribute("aria-rowindex");
  await page.keyboard.press("j");
  assert.equal(await current(), "3");
  await page.keyboard.press("k");
  await page.keyboard.press("/");
  await page.keyboard.type("1juk");
  const filter = page.getByRole("searchbox");
  assert.equal(await filter.inputValue(), "1juk");
  await page.getByText("No conflict fits the filter").waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await settled(page);
  assert.equal(await current(), "2");
  assert.equal(await page.getByText("not applied yet").count(), 0);
});

test("1, 2, 3 draft a decision and U takes it back; nothing is written before Apply", async (t) => {
  const page = await open(t, "conflictsRows");
  await page.keyboard.press("1");
  await page.getByText("1 decision made, not applied yet").waitFor();
  await page.keyboard.press("2");
  assert.equal(
    await page.getByRole("button", { name: /Keep venue-server/ }).getAttribute("aria-pressed"),
    "true",
  );
  await page.keyboard.press("u");
  assert.equal(await page.getByText("not applied yet").count(), 0);
  await page.keyboard.press("3");
  const radio = page.getByRole("radio", { name: "red_score: keep school-server's" });
  assert.ok(await radio.evaluate((of) => of === document.activeElement));
  await page.getByRole("radio", { name: "winner: keep venue-server's" }).check();
  await page.getByText("1 decision made, not applied yet").waitFor();
  await page.getByRole("button", { name: "Apply…" }).click();
  await page.getByText("merge: red_score of school-server, winner of venue-server").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
  await page.getByRole("tab", { name: "Needs decision (3)" }).waitFor();
  await page.getByRole("tab", { name: "Settled (3)" }).waitFor();
});

test("secrets are hidden until asked for, and a copied row is typed JSON", async (t) => {
  const page = await open(t, "conflictsRows");
  await page.keyboard.press("j");
  await page.getByRole("heading", { name: "users.user 14" }).waitFor();
  await settled(page);
  const body = page.locator("body");
  assert.ok(!(await body.textContent()).includes("scrypt:"));
  await page.getByRole("button", { name: "Copy row" }).click();
  await page.getByText("Copied").waitFor();
  const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  assert.deepEqual(copied.columns.password_hash, { hidden: true });
  assert.deepEqual(copied.columns.is_active, { integer: "1" });
  assert.equal(copied.columns.profile_picture, null);
  await page.getByRole("button", { name: "Show secrets" }).click();
  await page.getByText("scrypt:32768:8:1$school").first().waitFor();
  await page.getByRole("button", { name: "Hide secrets" }).click();
  await settled(page);
  assert.ok(!(await body.textContent()).includes("scrypt:"));
});

test("the split button's menu works from the keyboard, and Escape gives the focus back", async (t) => {
  const page = await open(t, "fine");
  const more = page.getByRole("button", { name: "More ways to sync" });
  await more.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Sync with pit-laptop" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("menu").waitFor({ state: "detached" });
  assert.ok(await more.evaluate((of) => of === document.activeElement));
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Preview what would change" }).click();
  await page.getByRole("heading", { level: 1, name: "Pending" }).waitFor();
});

test("a bar of the chart opens its runs, from the keyboard too; the table says the same", async (t) => {
  const page = await open(t, "fine");
  const bars = page.getByRole("toolbar", { name: /venue-server/ });
  await bars.getByRole("button").last().focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Runs" }).waitFor();
  assert.equal(await page.getByRole("combobox", { name: "Server" }).inputValue(), "venue-server");
  await page.getByRole("button", { name: /^12 Mar/ }).waitFor();
});

test("Values lost opens its evidence, and a dialog gives the focus back", async (t) => {
  const page = await open(t, "fine");
  const opener = page.getByRole("button", { name: "See the evidence" });
  await opener.focus();
  await page.keyboard.press("Enter");
  await page.getByText("Nothing is missing.").waitFor();
  await page.getByRole("cell", { name: "605,829" }).first().waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await opener.evaluate((of) => of === document.activeElement));
});
