import { screen, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import { lastAsk, open } from "../test.open";

test("equal is said only where every table was compared", async () => {
  open("compareEqual");
  expect(await screen.findByText("school-server and pit-laptop hold the same in every table")).toBeVisible();
});

test("what is not known to be equal is counted, each with its reason", async () => {
  open("compareDiffers");
  expect(await screen.findByText("4 of 8 tables are not known to be equal")).toBeVisible();
  const row = screen.getByText("scouting.pit_scouting_data").closest("tr") as HTMLElement;
  expect(within(row).getByText("Set up differently")).toBeVisible();
  expect(row).toHaveTextContent("has the column drivetrain_v2");
});

test("a differing table goes down to its rows, by server", async () => {
  const host = open("compareDiffers");
  await userEvent.click(await screen.findByRole("button", { name: "Show the rows" }));
  expect(await screen.findByText("At school-server")).toBeVisible();
  await userEvent.click(screen.getByRole("tab", { name: "Only at pit-laptop (3)" }));
  expect(lastAsk(host.compareRows)).toMatchObject({ table: "match", difference: "only_there" });
  await userEvent.click(screen.getByRole("button", { name: "← All tables" }));
  expect(await screen.findByRole("heading", { level: 1, name: "Compare" })).toBeVisible();
});

test("while a server is away nothing is claimed, and the last proof is named with its age", async () => {
  open("compareOffline");
  expect(await screen.findByText(/can't be asked, so nothing is claimed/)).toBeVisible();
  expect(screen.getByText(/Both sides were last found equal/)).toHaveTextContent("3 h ago");
});

test("how far a long comparison is stands on the screen", async () => {
  open("compareProgress");
  const main = within(screen.getByRole("main"));
  expect(await main.findByText(/^Comparing with pit-laptop: scouting\.scouting_data/)).toBeVisible();
  expect(main.getByRole("progressbar")).toHaveAttribute("value", String(31200 / 48210));
  expect(main.getByText("31,200 of 48,210, about 14 s left")).toBeVisible();
});

test("a long comparison can be stopped, and ends where nobody reads it any more", async () => {
  const host = open("compareProgress");
  await userEvent.click(await screen.findByRole("button", { name: "Stop comparing" }));
  expect(host.stopLook).toHaveBeenCalledTimes(1);
  await userEvent.click(screen.getByRole("button", { name: /^Runs/ }));
  expect(host.stopLook).toHaveBeenCalledTimes(2);
});
