import { screen, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import { lastAsk, open } from "../test.open";

test("runs are narrowed to a server and a result, and all are shown again", async () => {
  const host = open("runsRows");
  await screen.findByRole("grid", { name: "Runs" });
  await userEvent.selectOptions(screen.getByRole("combobox", { name: "Server" }), "pit-laptop");
  await userEvent.selectOptions(screen.getByRole("combobox", { name: "Result" }), "failed");
  expect(lastAsk(host.runs)).toMatchObject({ peer: "pit-laptop", result: "failed", day: null, offset: 0 });
});

test("a run that failed says why, and is tried again with its server", async () => {
  const host = open("runsRows");
  await screen.findByRole("grid", { name: "Runs" });
  await userEvent.keyboard("jjj");
  expect(await screen.findByText("It did not come to its end")).toBeVisible();
  await userEvent.click(screen.getByRole("button", { name: /^Sync with .* again$/ }));
  expect(lastAsk(host.syncNow)).toEqual({ peer: "pit-laptop" });
});

test("what went otherwise names the row, the reason and what to do, and leads to the row", async () => {
  open("runsRows");
  await screen.findByRole("grid", { name: "Runs" });
  await userEvent.keyboard("j");
  expect(await screen.findByText("Both sides changed red_score and winner.")).toBeVisible();
  expect(screen.getAllByText("Keep a side under Conflicts.")[0]).toBeVisible();
  await userEvent.click(screen.getByRole("button", { name: "scouting.match 27" }));
  const versions = await screen.findByRole("region", { name: "Versions of the row" });
  expect(within(versions).getByRole("heading", { name: "scouting.match 27" })).toBeVisible();
});

test("runs are exported as filtered, and where to is said", async () => {
  const host = open("runsRows");
  await userEvent.selectOptions(await screen.findByRole("combobox", { name: "Result" }), "failed");
  await userEvent.click(screen.getByRole("button", { name: "Export JSON lines" }));
  expect(lastAsk(host.exportRuns)).toEqual({ peer: null, day: null, result: "failed", format: "jsonl" });
  expect(await screen.findByText("Saved as /home/mentor/lockstep-runs.jsonl")).toBeVisible();
});

test("without a run, the first one is offered", async () => {
  const host = open("runsEmpty");
  await screen.findByRole("heading", { name: "There has been no run yet" });
  await userEvent.click(within(screen.getByRole("main")).getByRole("button", { name: "Sync now" }));
  expect(host.syncNow).toHaveBeenCalledTimes(1);
});

test("runs that can't be read again stay, with their age", async () => {
  open("runsOld");
  expect(await screen.findByText("The runs could not be read")).toBeVisible();
  expect(screen.getByText(/What follows was read just now/)).toBeVisible();
  expect(screen.getByRole("grid", { name: "Runs" })).toBeVisible();
});
