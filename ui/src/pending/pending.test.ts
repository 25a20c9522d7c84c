import { screen, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { describe, expect, test } from "vitest";
import type { PlanView } from "../host/host";
import { fails } from "../host/scripted";
import { failure } from "../host/world/make";
import { lastAsk, open } from "../test.open";
import { Chosen } from "./choice.svelte";

const apply = async () => {
  await userEvent.click(await screen.findByRole("button", { name: /^Apply .*…$/ }));
  return screen.getByRole("dialog", { name: "Apply this plan?" });
};

describe("what is chosen", () => {
  test("all at first; then all but those named, or only those", () => {
    const chosen = new Chosen();
    expect(chosen.choice).toEqual({ kind: "all" });
    chosen.toggle("x");
    expect(chosen.choice).toEqual({ kind: "all_but", ids: ["x"] });
    expect([chosen.has("x"), chosen.has("y"), chosen.count(1_000_000)]).toEqual([false, true, 999_999]);
    chosen.reset(false);
    chosen.toggle("y");
    expect(chosen.choice).toEqual({ kind: "only", ids: ["y"] });
    expect(chosen.count(1_000_000)).toBe(1);
  });
});

describe("a plan", () => {
  test("is applied by its hash, with what was not chosen named", async () => {
    const host = open("pendingRows");
    const grid = await screen.findByRole("grid", { name: "Changes to school-server" });
    const box = await within(grid).findByRole("checkbox", { name: "Apply the update of match 1003" });
    await userEvent.click(box);
    expect(screen.getByRole("button", { name: "Apply 86 selected…" })).toBeVisible();
    const dialog = await apply();
    expect(dialog).toHaveTextContent("86 changes of 87 from pit-laptop will be written here");
    expect(dialog).toHaveTextContent("1 change will be held for review");
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply" }));
    const plan = (await host.plan.mock.results[0]!.value) as PlanView;
    expect(lastAsk(host.applyPlan)).toEqual({
      peer: "pit-laptop",
      plan: plan.plan,
      choice: { kind: "all_but", ids: ["scouting.match:update:1"] },
    });
    expect(await screen.findByRole("heading", { name: "Sync just now" })).toBeVisible();
    expect(host.plan).toHaveBeenCalledTimes(2);
  });

  test("that has moved is not applied, and can be made anew", async () => {
    const host = open("pendingMoved");
    const dialog = await apply();
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply" }));
    expect(await within(dialog).findByRole("alert")).toHaveTextContent("nothing was applied");
    await userEvent.click(within(dialog).getByRole("button", { name: "Make the plan anew" }));
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(host.plan).toHaveBeenCalledTimes(2);
  });

  test("that deletes much lists the rows, and is applied only when a person agrees", async () => {
    const host = open("pendingDeletes");
    const dialog = await apply();
    const button = within(dialog).getByRole("button", { name: "Apply" });
    expect(button).toBeDisabled();
    const listed = await within(dialog).findByRole("grid", { name: "Rows that would be deleted" });
    expect(listed).toHaveAttribute("aria-rowcount", "413");
    expect(host.planRows).toHaveBeenCalledWith(expect.objectContaining({ operation: "delete" }));
    await userEvent.click(within(dialog).getByRole("checkbox", { name: "Delete 412 rows on this server" }));
    await userEvent.click(button);
    expect(host.applyPlan).toHaveBeenCalledTimes(1);
  });

  test("names the sides by their servers, in both directions", async () => {
    open("pendingRows");
    expect(await screen.findByText("At school-server now")).toBeVisible();
    expect(screen.getByText("After, from pit-laptop")).toBeVisible();
    await userEvent.click(screen.getByRole("tab", { name: "To pit-laptop (13)" }));
    expect(await screen.findByText("At pit-laptop now")).toBeVisible();
    expect(screen.queryByRole("checkbox", { name: /^Apply/ })).toBeNull();
  });

  test("says which table differs in its schema", async () => {
    open("pendingMismatch");
    expect(await screen.findByText(/has the column drivetrain_v2; this server has not/)).toBeVisible();
  });

  test("that is empty says that both sides have everything", async () => {
    open("pendingEmpty");
    expect(await screen.findByRole("heading", { name: "Nothing is pending with pit-laptop" })).toBeVisible();
    expect(screen.queryByRole("button", { name: /^Apply .*…$/ })).toBeNull();
  });

  test("can't be made while the server is away: what is known here is shown, with its age", async () => {
    open("pendingOffline");
    expect(await screen.findByText("venue-server can't be asked")).toBeVisible();
    expect(screen.getByText(/last reached 3 h ago/)).toBeVisible();
    expect(await screen.findByRole("grid", { name: "Rows that venue-server lacks" })).toHaveAttribute(
      "aria-rowcount",
      "13",
    );
  });

  test("can't be made with a server that only comes by itself; what it lacks is shown", async () => {
    open("pendingRows", { plan: fails(failure("no_address", "pit-laptop has no address")) });
    expect(await screen.findByText("pit-laptop can't be asked")).toBeVisible();
    expect(await screen.findByRole("grid", { name: "Rows that pit-laptop lacks" })).toBeVisible();
  });

  test("is filtered by table and by text, and an empty result says so", async () => {
    const host = open("pendingRows");
    await userEvent.click(await screen.findByRole("button", { name: /^scouting\.team / }));
    expect(lastAsk(host.planRows)).toMatchObject({ filter: { table: "scouting.team", text: "" }, offset: 0 });
    await userEvent.type(screen.getByRole("searchbox"), "nowhere");
    expect(await screen.findByRole("heading", { name: "No row fits the filter" })).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Show all" }));
    expect(await screen.findByRole("grid")).toHaveAttribute("aria-rowcount", "88");
  });
});

describe("the delete guard", () => {
  test("lets exactly one set through, after its rows were shown", async () => {
    const host = open("pendingRows");
    await userEvent.click(await screen.findByRole("button", { name: "Look at them" }));
    const dialog = screen.getByRole("dialog", { name: /Delete 412 rows/ });
    expect(host.decideDeletes).not.toHaveBeenCalled();
    await userEvent.click(within(dialog).getByRole("button", { name: "Delete 412 rows" }));
    expect(lastAsk(host.decideDeletes)).toEqual({ id: "5f0c2b", keep: false });
  });

  test("keeps the rows of one set on every server", async () => {
    const host = open("pendingRows");
    await userEvent.click(await screen.findByRole("button", { name: "Look at them" }));
    await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Keep 412 rows" }));
    expect(lastAsk(host.decideDeletes)).toEqual({ id: "5f0c2b", keep: true });
  });

  test("says why they were not let through", async () => {
    open("pendingRows", { decideDeletes: fails(failure("gone", "the set has changed")) });
    await userEvent.click(await screen.findByRole("button", { name: "Look at them" }));
    const dialog = screen.getByRole("dialog");
    await userEvent.click(within(dialog).getByRole("button", { name: "Delete 412 rows" }));
    expect(await within(dialog).findByRole("alert")).toHaveTextContent("The set has changed.");
  });
});
