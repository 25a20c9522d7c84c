import { screen, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import { open } from "../test.open";

test.each(["conflictsOffline", "runsOffline", "historyOffline", "settingsOffline", "setupOffline"] as const)(
  "%s: says who is away, and how old what is known of it is",
  async (scene) => {
    open(scene);
    expect(await screen.findByText("venue-server can't be reached")).toBeVisible();
    expect(screen.getByText(/What is known of it is of the last contact: 3 h ago/)).toBeVisible();
  },
);

test.each([
  "overviewMismatch",
  "conflictsMismatch",
  "runsMismatch",
  "historyMismatch",
  "settingsMismatch",
] as const)("%s: names the tables that are not alike, and leads to what is held", async (scene) => {
  open(scene);
  const title = await screen.findByText(
    /^2 tables are not alike on all servers: scouting\.pit_scouting_data/,
  );
  const notice = title.closest("[role=status]") as HTMLElement;
  expect(notice).toHaveTextContent("What was received for them is held");
  await userEvent.click(within(notice).getByRole("button", { name: "See what is held" }));
  expect(await screen.findByRole("tab", { name: /^Quarantine/, selected: true })).toBeVisible();
});

test("where this server's schema is the one behind, its migration is offered", async () => {
  const host = open("runsMismatch");
  await userEvent.click(await screen.findByRole("button", { name: "Migrate scouting…" }));
  expect(screen.getByRole("dialog", { name: "Migrate scouting" })).toBeVisible();
  expect(host.migrate).not.toHaveBeenCalled();
});

test("a file that was restored is said on every screen, until a person has said what it is to mean", async () => {
  open("overviewRestored");
  expect(await screen.findByText("scouting was found restored from a backup")).toBeVisible();
  expect(screen.getByRole("heading", { level: 1, name: "scouting was restored or copied" })).toBeVisible();
  await userEvent.keyboard("{Control>}4{/Control}");
  expect(await screen.findByText("scouting was found restored from a backup")).toBeVisible();
});

test.each(["conflictsUnread", "runsUnread", "historyUnread", "settingsUnread", "setupUnread"] as const)(
  "%s: what was known stays, with its age, and is asked for again",
  async (scene) => {
    const host = open(scene);
    await screen.findByRole("heading", { level: 1 });
    document.dispatchEvent(new Event("visibilitychange"));
    const title = await screen.findByText(/The state can't be read: what is known of this node is 2 min old/);
    const notice = title.closest("[role=status]") as HTMLElement;
    expect(notice).toHaveTextContent("locked by another program");
    const asked = host.status.mock.calls.length;
    await userEvent.click(within(notice).getByRole("button", { name: "Try again" }));
    expect(host.status.mock.calls.length).toBeGreaterThan(asked);
  },
);

test("a computer without a node says what to do on every screen", async () => {
  open("runsNoNode");
  await userEvent.click(await within(screen.getByRole("main")).findByRole("button", { name: "Set up" }));
  expect(await screen.findByRole("heading", { level: 1, name: "Set-up" })).toBeVisible();
});
