import { screen, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import { failure } from "../host/world/make";
import { lastAsk, open } from "../test.open";

const versions = () => screen.findByRole("region", { name: "Versions of the row" });

test("every version says who wrote it, what it set and how it ended", async () => {
  open("historyRows");
  const region = await versions();
  const lost = (await within(region).findByText("Lost a conflict")).closest("li") as HTMLElement;
  expect(lost).toHaveTextContent("venue-server");
  expect(lost).toHaveTextContent("Lost to school-server");
  expect(lost).toHaveTextContent("red_score 90");
});

test("a version is brought back by its id after a question; what is shown now can't be", async () => {
  const host = open("historyRows");
  const region = await versions();
  const [first] = await within(region).findAllByRole("button", { name: "Bring back…" });
  expect(within(region).getByText("Shown now").closest("li")).not.toHaveTextContent("Bring back");
  await userEvent.click(first!);
  await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Bring back" }));
  expect(lastAsk(host.restore)).toMatchObject({ version: "v4", anyway: false });
});

test("a row that has changed since is asked about again", async () => {
  let asked = 0;
  const host = open("historyRows", {
    restore: () =>
      asked++ === 0 ? Promise.reject(failure("row_changed", "the row has changed")) : Promise.resolve(),
  });
  const region = await versions();
  const [first] = await within(region).findAllByRole("button", { name: "Bring back…" });
  await userEvent.click(first!);
  const dialog = screen.getByRole("dialog");
  await userEvent.click(within(dialog).getByRole("button", { name: "Bring back" }));
  expect(await within(dialog).findByText("The row has changed since you looked")).toBeVisible();
  await userEvent.click(within(dialog).getByRole("button", { name: "Bring back anyway" }));
  expect(lastAsk(host.restore)).toMatchObject({ anyway: true });
});

test("a row is found by its key, deleted ones too; none says how to look", async () => {
  const host = open("historyRows");
  await versions();
  await userEvent.type(screen.getByRole("searchbox"), "18");
  expect(await screen.findByText("✕ deleted")).toBeVisible();
  expect(await screen.findByText(/The row is deleted; bringing a version back/)).toBeVisible();
  await userEvent.type(screen.getByRole("searchbox"), "999999");
  expect(await screen.findByRole("heading", { name: /^No row of scouting\.event fits/ })).toBeVisible();
  expect(lastAsk(host.findRows)).toMatchObject({ reveal: false });
});
