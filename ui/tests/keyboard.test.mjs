// The keyboard alone: from nothing to a paired server, a decision and its undo, a comparison down to a row. Wherever
// the focus is, it can be seen, and it goes only where a key took it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, settled } from "./browser.mjs";

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

async function open(t, scene) {
  const { page, wrong, close } = await browser.open(scene);
  t.after(async () => {
    await close();
    assert.deepEqual(wrong, []);
  });
  await settled(page);
  return page;
}

/** What has the focus: in view, and with a line around it. */
function focused() {
  const at = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(at);
  const { top, bottom, left, right } = at.getBoundingClientRect();
  return {
    said: `${at.tagName} ${at.getAttribute("aria-label") ?? at.textContent.trim().slice(0, 60)}`,
    outlined: outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2,
    inView: bottom > 0 && right > 0 && top < innerHeight && left < innerWidth,
  };
}

/** Tab after Tab until the focus is there. */
async function tabTo(page, role, name) {
  const wanted = page.getByRole(role, { name, exact: typeof name === "string" });
  const passed = [];
  for (let n = 0; n < 150; n++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement === document.body)) continue;
    const { said, outlined, inView } = await page.evaluate(focused);
    assert.ok(outlined, `the focus can be seen on ${said}`);
    assert.ok(inView, `${said} is in view`);
    passed.push(said);
    if (await wanted.evaluateAll((all) => all.includes(document.activeElement))) return;
  }
  assert.fail(`no Tab leads to ${role} ${name}: ${passed.join(" | ")}`);
}

/** Goes there and presses it. */
async function press(page, name, role = "button") {
  await page
    .getByRole(role, { name, exact: typeof name === "string" })
    .first()
    .waitFor();
  await tabTo(page, role, name);
  await page.keyboard.press("Enter");
  await settled(page);
}

/** Where the focus is does not change while something is read again. */
async function staysAt(page) {
  const before = await page.evaluate(focused);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await settled(page);
  assert.equal((await page.evaluate(focused)).said, before.said);
}

test("a set-up, from nothing to a paired server", async (t) => {
  const page = await open(t, "newcomer");
  await tabTo(page, "textbox", "Name");
  await page.keyboard.type("school-server");
  await page.keyboard.press("Enter");
  await press(page, "Choose files…");
  await press(page, "Look into them");
  await staysAt(page);
  await tabTo(page, "checkbox", /users\.user: Review conflicts/);
  await page.keyboard.press("Space");
  await press(page, "Attach 2 databases");
  await page.getByRole("tab", { name: "I have an invite" }).waitFor();
  await tabTo(page, "tab", "Invite the other server");
  await page.keyboard.press("ArrowRight");
  await tabTo(page, "textbox", /Paste the invite/);
  await page.keyboard.type("lockstep1-abc");
  await press(page, "Read it");
  await press(page, "See what would happen");
  await page.getByRole("heading", { name: "What pairing with venue-server would mean" }).waitFor();
  await press(page, "Pair with venue-server and sync");
  await page.getByText("Paired with venue-server.").waitFor();
  const written = (await page.evaluate(() => globalThis.calls)).filter((one) =>
    /^(init|attach|pair)$/.test(one),
  );
  assert.deepEqual(written, ["init", "attach", "pair"]);
});

test("a decision, its undo, and a comparison down to a row", async (t) => {
  const page = await open(t, "walk");
  await page.keyboard.press("Control+3");
  await page.getByRole("heading", { name: "scouting.match 27" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "BODY");
  await settled(page);
  await page.keyboard.press("2");
  await page.getByText("1 decision made, not applied yet").waitFor();
  await press(page, "Apply…");
  await press(page, "Apply");
  await page.getByRole("tab", { name: "Needs decision (3)" }).waitFor();

  await tabTo(page, "tab", "Needs decision (3)");
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowLeft");
  await page.getByRole("tab", { name: "Settled (3)", selected: true }).waitFor();
  await page.getByRole("heading", { name: "scouting.match 27" }).waitFor();
  await settled(page);
  await page.keyboard.press("u");
  await page.getByRole("dialog", { name: "Undo this decision?" }).waitFor();
  await press(page, "Undo");
  await page.getByRole("tab", { name: "Settled (2)" }).waitFor();
  await page.getByRole("tab", { name: "Needs decision (4)" }).waitFor();

  await page.keyboard.press("F5");
  await press(page, "Show the rows");
  await page.getByRole("heading", { name: "scouting.match 27" }).waitFor();
  await tabTo(page, "tab", /^Different/);
  await page.keyboard.press("End");
  await page.getByRole("tab", { name: "Only at pit-laptop (3)", selected: true }).waitFor();
  await page.getByRole("heading", { name: "scouting.match 1201" }).waitFor();
  await page.keyboard.press("j");
  await page.getByRole("heading", { name: "scouting.match 1202" }).waitFor();
  await press(page, "← All tables");
  await page.getByRole("heading", { level: 1, name: "Compare" }).waitFor();
});
