import { screen, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { describe, expect, test } from "vitest";
import { fails } from "../host/scripted";
import { putAside } from "../host/world/conflicts";
import { locked } from "../host/world/make";
import { lastAsk, open } from "../test.open";

const shown = async (name: RegExp) => {
  await screen.findByRole("heading", { level: 2, name });
  await screen.findByRole("group", { name: "Decide" });
};
const applyAll = async () => {
  await userEvent.click(await screen.findByRole("button", { name: "Apply…" }));
  return screen.getByRole("dialog");
};

describe("a conflict", () => {
  test("shows why it is one, and both sides by their servers", async () => {
    open("conflictsRows");
    await shown(/scouting\.match 27/);
    expect(screen.getByText(/school-server and venue-server changed the same columns/)).toBeVisible();
    const heads = screen.getAllByRole("columnheader").map((one) => one.textContent);
    expect(heads.join("|")).toMatch(/Before both\|.*A: school-server.*\|.*B: venue-server.*\|Shown now/);
  });

  test("a decision names conflict, column and side, and never a value", async () => {
    const host = open("conflictsRows");
    await shown(/scouting\.match 27/);
    await userEvent.click(screen.getByRole("radio", { name: "winner: keep venue-server's" }));
    expect(screen.getByText("Result")).toBeVisible();
    const dialog = await applyAll();
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply" }));
    expect(lastAsk(host.decide)).toEqual({
      anyway: false,
      decisions: [
        {
          id: "c01",
          keep: {
            kind: "columns",
            columns: [
              { column: "red_score", side: "a" },
              { column: "winner", side: "b" },
            ],
          },
        },
      ],
    });
  });

  test("a look at another screen loses no decision", async () => {
    open("conflictsRows");
    await shown(/scouting\.match 27/);
    await userEvent.keyboard("1");
    await userEvent.click(screen.getByRole("button", { name: "History" }));
    await screen.findByRole("heading", { level: 1, name: "Row history" });
    await userEvent.keyboard("{Control>}3{/Control}");
    await shown(/scouting\.match 27/);
    expect(screen.getByText("1 decision made, not applied yet")).toBeVisible();
    expect(screen.getByRole("button", { name: /^Keep school-server's/ })).toHaveAttribute(
      "aria-pressed",
      "true",
    );
  });

  test("several are decided first and applied together", async () => {
    const host = open("conflictsRows");
    await shown(/scouting\.match 27/);
    await userEvent.keyboard("1");
    await userEvent.keyboard("j");
    await shown(/users\.user 14/);
    await userEvent.keyboard("2");
    expect(screen.getByText("2 decisions made, not applied yet")).toBeVisible();
    expect(host.decide).not.toHaveBeenCalled();
    const dialog = await applyAll();
    expect(dialog).toHaveTextContent("keep school-server's");
    expect(dialog).toHaveTextContent("keep venue-server's");
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply" }));
    expect(host.decide).toHaveBeenCalledTimes(1);
    expect(await screen.findByRole("tab", { name: "Settled (4)" })).toBeVisible();
  });

  test("of a row that one side deleted asks whether it is deleted", async () => {
    open("conflictsRows");
    await shown(/scouting\.match 27/);
    await userEvent.keyboard("jj");
    await shown(/scouting\.team 88/);
    expect(screen.getByRole("button", { name: /Delete, as pit-laptop did/ })).toBeVisible();
  });

  test("of a row that has changed since is refused, and decided only when asked again", async () => {
    const host = open("conflictsChanged");
    await shown(/scouting\.match 27/);
    await userEvent.keyboard("1");
    const dialog = await applyAll();
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply" }));
    expect(await within(dialog).findByText(/has been written since/)).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply anyway" }));
    expect(lastAsk(host.decide)).toMatchObject({ anyway: true });
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  test("that fails to be read says why, and can be read again", async () => {
    const host = open("conflictsRows", { conflict: fails(locked) });
    expect(await screen.findByText("The conflict could not be read")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(host.conflict).toHaveBeenCalledTimes(2);
  });
});

describe("what was decided automatically", () => {
  test("the same decision for all alike is previewed, and made for exactly that set", async () => {
    const host = open("conflictsRows");
    await userEvent.click(await screen.findByRole("tab", { name: "Decided automatically (5)" }));
    await userEvent.click(await screen.findByRole("button", { name: /all 2 like this/ }));
    const dialog = screen.getByRole("dialog");
    await userEvent.click(within(dialog).getByRole("radio", { name: "keep venue-server's" }));
    await userEvent.click(
      await within(dialog).findByRole("button", { name: "Keep venue-server's in all 2" }),
    );
    expect(lastAsk(host.decideAlike)).toEqual({ id: "c05", side: "b", plan: "77ab01" });
  });

  test("is marked as seen, one or all", async () => {
    const host = open("conflictsRows");
    await userEvent.click(await screen.findByRole("tab", { name: "Decided automatically (5)" }));
    await userEvent.click(await screen.findByRole("button", { name: "Mark as seen" }));
    expect(lastAsk(host.markReviewed)).toEqual({ ids: ["c05"] });
    await userEvent.click(await screen.findByRole("button", { name: "Mark all as seen" }));
    expect(lastAsk(host.markReviewed)).toEqual({ ids: null });
    expect(await screen.findByRole("heading", { name: "Nothing was decided without you" })).toBeVisible();
  });
});

describe("what is settled", () => {
  test("is undone after a question, which warns if the row has changed since", async () => {
    const host = open("conflictsRows");
    await userEvent.click(await screen.findByRole("tab", { name: "Settled (2)" }));
    await screen.findByRole("button", { name: /^Undo…/ });
    await userEvent.keyboard("u");
    await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Undo" }));
    expect(lastAsk(host.undo)).toEqual({ id: "c10", anyway: false });
    expect(await screen.findByText("The row has changed since")).toBeVisible();
    await userEvent.keyboard("u");
    await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Undo anyway" }));
    expect(lastAsk(host.undo)).toEqual({ id: "c11", anyway: true });
  });
});

describe("quarantine", () => {
  test("says what each waits for, tries again, and lets through what a person may let through", async () => {
    const host = open("conflictsRows");
    await userEvent.click(await screen.findByRole("tab", { name: "Quarantine (5)" }));
    expect(await screen.findByText(/keep a side under Conflicts/)).toBeVisible();
    expect(screen.queryByRole("button", { name: "Let it through…" })).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Try all again" }));
    expect(lastAsk(host.retryHeld)).toEqual({ id: null });
    expect(await screen.findByText("0 changes applied, 5 changes still held.")).toBeVisible();
    await userEvent.keyboard("jjj");
    await userEvent.click(await screen.findByRole("button", { name: "Let it through…" }));
    await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Let it through" }));
    expect(lastAsk(host.allowHeld)).toEqual({ ids: ["h04"] });
  });

  const letThrough = async () => {
    await userEvent.click(await screen.findByRole("tab", { name: /^Quarantine/ }));
    await userEvent.selectOptions(screen.getByRole("combobox", { name: "Reason" }), "review");
    await userEvent.click(await screen.findByRole("button", { name: "Let them through…" }));
    return screen.findByRole("dialog", { name: "Let 3 changes through?" });
  };

  test("lets all through that were put aside, after they were listed", async () => {
    const host = open("conflictsPutAside");
    const dialog = await letThrough();
    expect(dialog).toHaveTextContent("scouting.team 254");
    expect(host.allowHeld).not.toHaveBeenCalled();
    await userEvent.click(within(dialog).getByRole("button", { name: "Let 3 changes through" }));
    expect(await screen.findByRole("heading", { name: "Nothing held fits the filter" })).toBeVisible();
    expect(host.allowHeld).toHaveBeenCalledExactlyOnceWith({ ids: ["h20", "h21", "h22"] });
  });

  test("says which can't pass, and why, while the others do", async () => {
    const host = open("conflictsPutAside", {
      allowHeld: async () => ({ allowed: "2", held: "1", refused: [{ id: "h21", failure: locked }] }),
    });
    const dialog = await letThrough();
    await userEvent.click(within(dialog).getByRole("button", { name: "Let 3 changes through" }));
    expect(await within(dialog).findByRole("alert")).toHaveTextContent(
      "2 changes were let through, 1 can't pass",
    );
    expect(within(dialog).getByRole("listitem")).toHaveTextContent(
      /scouting\.team 88 written by .* locked by another program/,
    );
    expect(within(dialog).queryByRole("button", { name: /^Let/ })).toBeNull();
    expect(host.allowHeld).toHaveBeenCalledOnce();
  });

  test("lets through more than one answer holds", async () => {
    const many = Array.from({ length: 450 }, (_, n) => ({ ...putAside()[0]!, id: `m${n}` }));
    const host = open("conflictsPutAside", {
      quarantine: async ({ offset, limit }) => ({ items: many.slice(offset, offset + limit), total: "450" }),
    });
    await userEvent.click(await screen.findByRole("tab", { name: /^Quarantine/ }));
    await userEvent.selectOptions(screen.getByRole("combobox", { name: "Reason" }), "review");
    await userEvent.click(await screen.findByRole("button", { name: "Let them through…" }));
    const dialog = await screen.findByRole("dialog", { name: "Let 450 changes through?" });
    expect(dialog).toHaveTextContent("and 250 more");
    await userEvent.click(within(dialog).getByRole("button", { name: "Let 450 changes through" }));
    expect(lastAsk(host.allowHeld)).toEqual({ ids: many.map((one) => one.id) });
  });

  test("is filtered by reason", async () => {
    const host = open("conflictsRows");
    await userEvent.click(await screen.findByRole("tab", { name: "Quarantine (5)" }));
    await userEvent.selectOptions(screen.getByRole("combobox", { name: "Reason" }), "guard");
    expect(lastAsk(host.quarantine)).toMatchObject({ reason: "guard" });
    expect(await screen.findByRole("heading", { name: "Nothing held fits the filter" })).toBeVisible();
  });
});
