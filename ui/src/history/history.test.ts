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
      asked++ === 0
        ? Promise.reject(failure("row_changed", "the row has changed"))
        : Promise.resolve({ key: "1", children: "0" }),
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

test("a deleted row is brought back with the rows that were deleted with it, unless a person says otherwise", async () => {
  const host = open("historyRows");
  await versions();
  await userEvent.type(screen.getByRole("searchbox"), "18");
  await screen.findByText(/The row is deleted; bringing a version back/);
  const bring = async () => {
    const [first] = await screen.findAllByRole("button", { name: "Bring back…" });
    await userEvent.click(first!);
    return within(screen.getByRole("dialog"));
  };
  let dialog = await bring();
  expect(dialog.getByRole("checkbox", { name: /^With the rows that refer to it/ })).toBeChecked();
  await userEvent.click(dialog.getByRole("button", { name: "Bring back" }));
  expect(lastAsk(host.restore)).toMatchObject({ version: "v1", children: true });
  expect(await screen.findByText("It is brought back as 18, with 2 rows that refer to it.")).toBeVisible();
  dialog = await bring();
  await userEvent.click(dialog.getByRole("checkbox", { name: /^With the rows that refer to it/ }));
  await userEvent.click(dialog.getByRole("button", { name: "Bring back" }));
  expect(lastAsk(host.restore)).toMatchObject({ children: false });
});

test("two rows are made one after the other was found, and one is taken apart again", async () => {
  const host = open("historyRows");
  await versions();
  const ask = async (says: string) => {
    await userEvent.click(await screen.findByRole("button", { name: says }));
    return within(await screen.findByRole("dialog"));
  };
  let dialog = await ask("Same as…");
  expect(dialog.getByRole("button", { name: "Choose another row" })).toBeDisabled();
  await userEvent.type(dialog.getByRole("searchbox", { name: "Find the other" }), "23");
  await userEvent.click(await dialog.findByRole("button", { name: "Make 1 and 23 one" }));
  expect(lastAsk(host.same)).toMatchObject({ row: { key: "1" }, other: "23" });
  expect(await dialog.findByText("1 and 23 are one now, under 1")).toBeVisible();
  await userEvent.click(dialog.getByRole("button", { name: "To the row" }));
  await versions();
  dialog = await ask("Take apart…");
  await userEvent.click(dialog.getByRole("button", { name: "Take apart" }));
  expect(lastAsk(host.apart)).toMatchObject({ row: { key: "1" } });
  expect(await dialog.findByText("It is 2 rows now")).toBeVisible();
});
