import { screen, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { describe, expect, test } from "vitest";
import { fails } from "../host/scripted";
import { failure } from "../host/world/make";
import { lastAsk, open } from "../test.open";

describe("tables", () => {
  test("one is changed as a whole, and only when saved", async () => {
    const host = open("settingsAll");
    await userEvent.click(await screen.findByRole("button", { name: /^match / }));
    await userEvent.selectOptions(
      screen.getByRole("combobox", { name: "When two servers clash" }),
      "prefer:venue-server",
    );
    await userEvent.click(screen.getByRole("checkbox", { name: "A delete guard of its own" }));
    expect(host.configure).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    expect(lastAsk(host.configure)).toMatchObject({
      database: "scouting",
      table: "match",
      config: { policy: "prefer:venue-server", guard: { rows: "100", share: "0.2" }, exclude: false },
    });
    expect(
      await screen.findByText(/same if event_id \+ match_type \+ match_number agree; venue-server wins/),
    ).toBeVisible();
  });

  test("one says with whom it is shared, and which way", async () => {
    open("settingsAll");
    await userEvent.click(await screen.findByRole("button", { name: /^user / }));
    const shared = await screen.findByText("Shared:");
    expect(shared.parentElement).toHaveTextContent("with pit-laptop only send; with venue-server both ways");
    await userEvent.click(screen.getByRole("button", { name: "Change it under Servers" }));
    expect(await screen.findByRole("tab", { name: "Servers", selected: true })).toBeVisible();
  });

  test("one that was left out says so, and how it would be synced", async () => {
    open("settingsAll");
    await userEvent.click(await screen.findByRole("button", { name: /^login_attempts .* left out/ }));
    expect(screen.getByText(/It was left out when the database was attached/)).toBeVisible();
    expect(screen.queryByRole("button", { name: "Save" })).toBeNull();
  });

  test("one that can't be synced says why", async () => {
    open("settingsAll");
    await userEvent.click(await screen.findByRole("button", { name: /^team_search / }));
    expect(screen.queryByRole("button", { name: "Save" })).toBeNull();
    expect(screen.getAllByText(/virtual table \(FTS5\)/).length).toBe(2);
  });

  test("a database is detached only after a question", async () => {
    const host = open("settingsAll");
    await userEvent.click((await screen.findAllByRole("button", { name: "Detach…" }))[1]!);
    await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Detach users" }));
    expect(lastAsk(host.detach)).toEqual({ name: "users" });
  });
});

describe("servers", () => {
  test("what is shared, and which way, is set per database or table", async () => {
    const host = open("settingsAll");
    await userEvent.click(await screen.findByRole("tab", { name: "Servers" }));
    await userEvent.selectOptions(
      await screen.findByRole("combobox", { name: "Which way users goes with venue-server" }),
      "send",
    );
    expect(lastAsk(host.setShare)).toEqual({
      peer: "venue-server",
      share: { what: "users", direction: "send" },
    });
  });

  test("one is retired only when its name was typed", async () => {
    const host = open("settingsAll");
    await userEvent.click(await screen.findByRole("tab", { name: "Servers" }));
    const server = await screen.findByRole("region", { name: "pit-laptop" });
    await userEvent.click(within(server).getByRole("button", { name: "Retire…" }));
    const dialog = screen.getByRole("dialog");
    const button = within(dialog).getByRole("button", { name: "Retire pit-laptop" });
    expect(button).toBeDisabled();
    await userEvent.type(within(dialog).getByRole("textbox"), "pit-laptop");
    await userEvent.click(button);
    expect(lastAsk(host.retirePeer)).toEqual({ peer: "pit-laptop" });
  });
});

describe("behaviour", () => {
  test("a value is saved as typed; one that is refused says what is wrong", async () => {
    const host = open("settingsAll", {
      setSetting: fails(failure("bad_setting", "guard.rows is a number of rows", "for example 100")),
    });
    await userEvent.click(await screen.findByRole("tab", { name: "Behaviour" }));
    const box = await screen.findByRole("textbox", { name: "Ask when more rows than this would be deleted" });
    await userEvent.clear(box);
    await userEvent.type(box, "many{Enter}");
    expect(lastAsk(host.setSetting)).toEqual({ key: "guard.rows", value: "many" });
    expect(await screen.findByRole("alert")).toHaveTextContent("guard.rows is a number of rows.");
  });

  test("cleaning up shows what would go before anything goes", async () => {
    const host = open("settingsAll");
    await userEvent.click(await screen.findByRole("tab", { name: "Behaviour" }));
    await userEvent.click(await screen.findByRole("button", { name: /cleaned up/ }));
    expect(host.cleanup).toHaveBeenCalledExactlyOnceWith({ dry_run: true });
    const dialog = screen.getByRole("dialog");
    expect(await within(dialog).findByText("archived values")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Remove for good" }));
    expect(lastAsk(host.cleanup)).toEqual({ dry_run: false });
  });

  test("start at login is set and read again", async () => {
    const host = open("settingsAll");
    await userEvent.click(await screen.findByRole("tab", { name: "Appearance" }));
    const box = await screen.findByRole("checkbox", { name: "Start at login, in the tray" });
    await userEvent.click(box);
    expect(lastAsk(host.setStartAtLogin)).toEqual({ on: true });
    expect(box).toBeChecked();
  });
});
