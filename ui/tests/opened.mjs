// What a person opens on the screens: dialogs, tabs, menus, forms, and lists in which nothing fits the filter: a scene,
// and what is done there.

const press =
  (name, exact = false) =>
  (page) =>
    page.getByRole("button", { name, exact }).first().click();
const inDialog = (name) => (page) => page.getByRole("dialog").getByRole("button", { name }).click();
const tab = (name) => (page) => page.getByRole("tab", { name }).click();
const inTurn =
  (...acts) =>
  async (page) => {
    for (const act of acts) await act(page);
  };
const filter = async (page) => {
  await page.getByRole("searchbox").fill("nothing is called so");
  await page.getByRole("button", { name: /^Show all/ }).waitFor();
};
const found = inTurn(press("Choose files…"), press("Look into them"));
const joins = inTurn(
  tab("I have an invite"),
  (page) => page.getByRole("textbox", { name: /Paste/ }).fill("lockstep1-abc"),
  press("Read it"),
  press("See what would happen"),
);

export const OPENED = {
  "the keys": ["fine", press(/^Keys/)],
  "more ways to sync": ["fine", press("More ways to sync")],
  "a sync just now": ["fine", press(/^Sync now/)],
  "the evidence": ["fine", inTurn(press("See the evidence"), press("Verify against the tables"))],
  "a month as a table": ["fine", (page) => page.getByText("As a table").first().click()],
  "a plan to apply": ["pendingRows", press(/^Apply .*…$/)],
  "a plan that deletes much": ["pendingDeletes", press(/^Apply .*…$/)],
  "a plan that moved": ["pendingMoved", inTurn(press(/^Apply .*…$/), press("Apply", true))],
  "what the guard holds": ["pendingRows", press("Look at them")],
  "no pending row that fits": ["pendingRows", filter],
  "decisions to apply": ["conflictsRows", inTurn((page) => page.keyboard.press("2"), press("Apply…"))],
  "decisions that were refused": [
    "conflictsChanged",
    inTurn((page) => page.keyboard.press("2"), press("Apply…"), press("Apply", true)),
  ],
  "one decision for all alike": ["conflictsRows", inTurn(tab(/^Decided/), press(/^Same decision for all/))],
  "an undo": ["conflictsRows", inTurn(tab(/^Settled/), press(/^Undo…/))],
  "an undo of a row that has changed": [
    "conflictsRows",
    inTurn(tab(/^Settled/), (page) => page.keyboard.press("j"), press(/^Undo…/)),
  ],
  "the quarantine": ["conflictsRows", tab(/^Quarantine/)],
  "a held change to let through": [
    "conflictsRows",
    inTurn(
      tab(/^Quarantine/),
      (page) => page.keyboard.press("End"),
      async (page) => {
        await page.getByRole("grid", { name: "Held changes" }).focus();
        await page.keyboard.press("End");
        await page.getByRole("button", { name: "Let it through…" }).click();
      },
    ),
  ],
  "all to let through": [
    "conflictsPutAside",
    inTurn(
      tab(/^Quarantine/),
      (page) => page.getByRole("combobox", { name: "Reason" }).selectOption("review"),
      press("Let them through…"),
    ),
  ],
  "no conflict that fits": ["conflictsRows", filter],
  "no held change that fits": ["conflictsRows", inTurn(tab(/^Quarantine/), filter)],
  "a run that failed": ["runsRows", inTurn(...Array(3).fill((page) => page.keyboard.press("j")))],
  "no run that fits": [
    "runsFiltered",
    async (page) => {
      await page.getByRole("combobox", { name: "Result" }).selectOption("failed");
      await page.getByText("No run fits the filter").waitFor();
    },
  ],
  "the rows that differ": ["compareDiffers", press("Show the rows")],
  "no table that fits": ["compareDiffers", filter],
  "a version to bring back": ["historyRows", press("Bring back…")],
  "a deleted row to bring back": [
    "historyRows",
    inTurn(async (page) => {
      await page.getByRole("searchbox").fill("18");
      await page.getByText("✕ deleted").waitFor();
    }, press("Bring back…")),
  ],
  "a row that is the same as another": ["historyRows", press("Same as…")],
  "two rows that are one": [
    "historyRows",
    inTurn(
      press("Same as…"),
      (page) => page.getByRole("searchbox", { name: "Find the other" }).fill("23"),
      press(/^Make /),
    ),
  ],
  "a row to take apart": ["historyRows", press("Take apart…")],
  "no row that fits": ["historyRows", filter],
  "a table's form": ["settingsAll", press(/^match 1,204 rows/)],
  "no setting's table that fits": ["settingsAll", filter],
  "a database to detach": ["settingsAll", press("Detach…")],
  "a database to look over": ["settingsAll", press("Look it over…")],
  "a database that was looked over": [
    "settingsAll",
    inTurn(press("Look it over…"), press("Look it over", true)),
  ],
  "a copy that was saved": ["settingsAll", inTurn(press("Save a copy…"), inDialog("Save a copy…"))],
  "a migration that has run": [
    "settingsAll",
    inTurn(
      press("Migrate…"),
      (page) => page.getByRole("textbox", { name: "Command" }).fill("flask db upgrade"),
      press("Choose its folder…"),
      press("Run it…"),
    ),
  ],
  "a restored database": ["overviewRestored", press("Say what it is to mean…")],
  "a restored database that is to win": [
    "overviewRestored",
    inTurn(press("Say what it is to mean…"), (page) => page.getByRole("radio", { name: /wins/ }).check()),
  ],
  "a restored database that has caught up": [
    "overviewRestored",
    inTurn(press("Say what it is to mean…"), press("Let it catch up")),
  ],
  "a table that was left out": ["settingsAll", press(/^login_attempts /)],
  "columns that stay here": ["settingsAll", inTurn(tab("Servers"), press("Columns that stay here…"))],
  servers: ["settingsAll", tab("Servers")],
  "a server to retire": ["settingsAll", inTurn(tab("Servers"), press("Retire…"))],
  behaviour: ["settingsAll", tab("Behaviour")],
  "what would be cleaned up": ["settingsAll", inTurn(tab("Behaviour"), press(/^See what would be cleaned/))],
  appearance: ["settingsAll", tab("Appearance")],
  "what was found": ["setupAttach", found],
  "how a table will be synced": [
    "setupAttach",
    inTurn(
      found,
      (page) => page.getByText(/^Every table, and how/).click(),
      press(/^scouting_data 43,310 rows/),
    ),
  ],
  "what pairing would mean": ["setupMismatch", joins],
  "a table that is left out": [
    "setupAttach",
    inTurn(
      found,
      (page) => page.getByText(/^Every table, and how/).click(),
      press(/^role 4 rows/),
      (page) => page.getByRole("checkbox", { name: /^Leave this table out/ }).check(),
    ),
  ],
  "tables and columns to share": [
    "setupPair",
    inTurn(
      (page) => page.getByText("Choose tables and columns").click(),
      (page) => page.getByRole("combobox", { name: "of" }).selectOption("users.user"),
    ),
  ],
  "decisions that would be forgotten": [
    "conflictsRows",
    inTurn(
      (page) => page.keyboard.press("2"),
      (page) => page.keyboard.press("Control+q"),
    ),
  ],
  "an invite that was saved": ["setupPair", press("Save an invite as a file…")],
};
