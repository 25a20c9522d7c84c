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

  test("one that was left out is synced from now on when a person says how", async () => {
    const host = open("settingsAll");
    await userEvent.click(await screen.findByRole("button", { name: /^login_attempts .*left out/ }));
    expect(screen.getByText(/It was left out when the database was attached/)).toBeVisible();
    await userEvent.click(screen.getByRole("checkbox", { name: "attempt_time" }));
    await userEvent.click(screen.getByRole("button", { name: "Sync it from now on" }));
    expect(lastAsk(host.include)).toMatchObject({
      database: "scouting",
      table: "login_attempts",
      config: { exclude: false, identity: ["attempt_time"] },
    });
    expect(host.configure).not.toHaveBeenCalled();
    expect(await screen.findByRole("button", { name: /^login_attempts 8,120 rows same if/ })).toBeVisible();
  });

  test("one that can't be synced says why", async () => {
    open("settingsAll");
    await userEvent.click(await screen.findByRole("button", { name: /^team_search / }));
    expect(screen.queryByRole("button", { name: "Save" })).toBeNull();
    expect(screen.getAllByText(/virtual table \(FTS5\)/).length).toBe(2);
  });
});

describe("a whole database", () => {
  const care = async (of: string, says: string) => {
    const database = await screen.findByRole("region", { name: of });
    await userEvent.click(within(database).getByRole("button", { name: says }));
    return within(await screen.findByRole("dialog"));
  };

  test("is detached only after a question", async () => {
    const host = open("settingsAll");
    const dialog = await care("users", "Detach…");
    expect(host.detach).not.toHaveBeenCalled();
    await userEvent.click(dialog.getByRole("button", { name: "Detach users" }));
    expect(lastAsk(host.detach)).toEqual({ name: "users" });
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  test("is looked over, and what was found and put right is told", async () => {
    const host = open("settingsAll");
    const dialog = await care("scouting", "Look it over…");
    await userEvent.click(dialog.getByRole("button", { name: "Look it over" }));
    expect(lastAsk(host.doctor)).toEqual({ database: "scouting" });
    expect(await dialog.findByText("2 things were put right")).toBeVisible();
    expect(dialog.getByText("The trigger for updates of `match` was missing.")).toBeVisible();
  });

  test("in which not all could be put right leads to where the difference is found", async () => {
    open("settingsAll", {
      doctor: async () => [{ database: "scouting", findings: ["match: 1 row differs"], repaired: false }],
    });
    const dialog = await care("scouting", "Look it over…");
    await userEvent.click(dialog.getByRole("button", { name: "Look it over" }));
    expect(await dialog.findByText("Not all of it could be put right")).toBeVisible();
    await userEvent.click(dialog.getByRole("button", { name: "Compare with the other servers" }));
    expect(await screen.findByRole("heading", { level: 1, name: "Compare" })).toBeVisible();
  });

  test("is copied to where a person wants it", async () => {
    const host = open("settingsAll");
    const dialog = await care("users", "Save a copy…");
    await userEvent.click(dialog.getByRole("checkbox", { name: "Without the tables of Lockstep" }));
    await userEvent.click(dialog.getByRole("button", { name: "Save a copy…" }));
    expect(lastAsk(host.backup)).toEqual({ database: "users", clean: true });
    expect(await dialog.findByText("/home/mentor/users-copy.db")).toBeVisible();
  });

  test("is migrated by the command that a person types, in the folder that was chosen", async () => {
    const host = open("settingsAll");
    const dialog = await care("scouting", "Migrate…");
    expect(dialog.getByRole("button", { name: "Run it…" })).toBeDisabled();
    await userEvent.type(dialog.getByRole("textbox", { name: "Command" }), "flask db upgrade");
    await userEvent.click(dialog.getByRole("button", { name: "Choose its folder…" }));
    await userEvent.click(dialog.getByRole("button", { name: "Run it…" }));
    expect(lastAsk(host.migrate)).toEqual({
      database: "scouting",
      command: "flask db upgrade",
      folder: "/srv/scouting",
    });
    expect(await dialog.findByText(/The migration has run/)).toBeVisible();
    expect(dialog.getByRole("region", { name: "What the command printed" })).toHaveTextContent(
      "Running upgrade",
    );
  });

  test("whose migration failed says so, and that writes are captured again", async () => {
    open("settingsAll", {
      migrate: async () => ({ exit: 3, findings: [], backup: "/b.db", printed: "no such revision" }),
    });
    const dialog = await care("scouting", "Migrate…");
    await userEvent.type(dialog.getByRole("textbox", { name: "Command" }), "false");
    await userEvent.click(dialog.getByRole("button", { name: "Run it…" }));
    expect(
      await dialog.findByText("The command ended with status 3; everything is captured again"),
    ).toBeVisible();
  });

  test("that was restored wins only when its name was typed", async () => {
    const host = open("overviewRestored");
    await userEvent.click(await screen.findByRole("button", { name: "Say what it is to mean…" }));
    const dialog = within(screen.getByRole("dialog", { name: "What is scouting to mean?" }));
    expect(dialog.getByText(/scouting-restored-20260314T101500Z\.db/)).toBeVisible();
    await userEvent.click(dialog.getByRole("radio", { name: /^The restored state wins/ }));
    const win = dialog.getByRole("button", { name: "Let the restored state win" });
    expect(win).toBeDisabled();
    await userEvent.type(dialog.getByRole("textbox", { name: /^Type its name/ }), "scouting");
    await userEvent.click(win);
    expect(lastAsk(host.restored)).toEqual({ database: "scouting", meaning: "authoritative" });
    expect(await dialog.findByText(/14 rows brought back, 203 changed, 61 deleted/)).toBeVisible();
  });

  test("that was restored catches up at one click", async () => {
    const host = open("overviewRestored");
    await userEvent.click(await screen.findByRole("button", { name: "Say what it is to mean…" }));
    await userEvent.click(screen.getByRole("button", { name: "Let it catch up" }));
    expect(lastAsk(host.restored)).toEqual({ database: "scouting", meaning: "rejoin" });
    expect(await screen.findByText("scouting has caught up")).toBeVisible();
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
      share: { what: "users", direction: "send", without: [] },
    });
  });

  test("columns stay here, and what stayed once stays", async () => {
    const host = open("settingsAll");
    await userEvent.click(await screen.findByRole("tab", { name: "Servers" }));
    const server = await screen.findByRole("region", { name: "pit-laptop" });
    expect(await within(server).findByText("without password_hash")).toBeVisible();
    await userEvent.click(await within(server).findByRole("button", { name: "Columns that stay here…" }));
    const dialog = within(screen.getByRole("dialog", { name: /pit-laptop/ }));
    await userEvent.selectOptions(dialog.getByRole("combobox", { name: "Table" }), "users.user");
    expect(dialog.getByRole("checkbox", { name: "password_hash" })).toBeDisabled();
    expect(dialog.queryByRole("checkbox", { name: "username" })).toBeNull();
    await userEvent.click(dialog.getByRole("checkbox", { name: "email" }));
    await userEvent.click(dialog.getByRole("button", { name: "Keep them here" }));
    expect(lastAsk(host.setShare)).toEqual({
      peer: "pit-laptop",
      share: { what: "users.user", direction: "send", without: ["email", "password_hash"] },
    });
    expect(await dialog.findByText(/rows that begin on one side will wait on the other/)).toBeVisible();
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
    expect(host.cleanup).toHaveBeenCalledExactlyOnceWith({ dry_run: true, days: null });
    const dialog = screen.getByRole("dialog");
    expect(await within(dialog).findByText("Replaced values")).toBeVisible();
    await userEvent.selectOptions(within(dialog).getByRole("combobox", { name: /older than/ }), "30 days");
    expect(lastAsk(host.cleanup)).toEqual({ dry_run: true, days: 30 });
    await userEvent.click(await within(dialog).findByRole("button", { name: "Remove for good" }));
    expect(lastAsk(host.cleanup)).toEqual({ dry_run: false, days: 30 });
  });

  test("the address is changed, and what others are told", async () => {
    const host = open("settingsAll", {
      address: async () => ({
        listens: "127.0.0.1:7467",
        told: "127.0.0.1:7467",
        here_only: true,
        own: false,
      }),
    });
    await userEvent.click(await screen.findByRole("tab", { name: "Behaviour" }));
    expect(await screen.findByText("Only programs on this computer reach this server")).toBeVisible();
    expect(screen.getByText(/when it is started again/)).toBeVisible();
    const listens = screen.getByRole("textbox", { name: "Listens on" });
    await userEvent.clear(listens);
    await userEvent.type(listens, "0.0.0.0:7467");
    await userEvent.click(screen.getByRole("radio", { name: /^this address/ }));
    const told = screen.getByRole("textbox", { name: "The address that others are told" });
    await userEvent.clear(told);
    await userEvent.type(told, "hq.example:7467");
    await userEvent.click(screen.getByRole("button", { name: "Save the address" }));
    expect(lastAsk(host.setAddress)).toEqual({
      listen: "0.0.0.0:7467",
      tell: { kind: "address", address: "hq.example:7467" },
    });
    await userEvent.click(screen.getByRole("radio", { name: /nobody can call it/ }));
    await userEvent.click(screen.getByRole("button", { name: "Save the address" }));
    expect(lastAsk(host.setAddress)).toMatchObject({ tell: { kind: "nowhere" } });
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
