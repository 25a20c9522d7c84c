import { screen, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { describe, expect, test } from "vitest";
import { lastAsk, open } from "../test.open";

describe("this server", () => {
  test("needs a name and nothing else", async () => {
    const host = open("setupStart");
    await userEvent.type(await screen.findByRole("textbox", { name: "Name" }), " pit-laptop {Enter}");
    expect(lastAsk(host.init)).toEqual({ name: "pit-laptop" });
  });
});

describe("its databases", () => {
  test("are chosen, looked into and attached with what a person accepted", async () => {
    const host = open("setupAttach");
    await userEvent.click(
      await within(screen.getByRole("main")).findByRole("button", { name: "Choose files…" }),
    );
    const name = await screen.findByRole("textbox", { name: "Name of /srv/scouting/instance/users.db" });
    await userEvent.clear(name);
    await userEvent.type(name, "people");
    await userEvent.click(screen.getByRole("button", { name: "Look into them" }));
    const found = await screen.findByRole("region", { name: /9 tables with/ });
    expect(host.attach).not.toHaveBeenCalled();
    await userEvent.click(within(found).getByRole("checkbox", { name: /scouting\.login_attempts/ }));
    await userEvent.click(screen.getByRole("button", { name: "Attach 2 databases" }));
    expect(lastAsk(host.attach)).toEqual({
      files: [
        { name: "scouting", file: "/srv/scouting/instance/scouting.db" },
        { name: "people", file: "/srv/scouting/instance/users.db" },
      ],
      accepted: ["s1", "s2", "s4"],
      tables: [],
      left_out: [],
      wal: true,
      backup: true,
    });
    expect(await screen.findByRole("tab", { name: "Invite the other server" })).toBeVisible();
  });

  test("are told by hand how a table is synced, before anything is attached", async () => {
    const host = open("setupAttach");
    await userEvent.click(
      await within(screen.getByRole("main")).findByRole("button", { name: "Choose files…" }),
    );
    await userEvent.click(screen.getByRole("button", { name: "Look into them" }));
    const found = await screen.findByRole("region", { name: /9 tables with/ });
    await userEvent.click(within(found).getByText(/^Every table, and how it will be synced/));

    // A suggestion that was accepted stands in the form, and what the form takes back is accepted no more.
    await userEvent.click(within(found).getByRole("button", { name: /^user 210 rows/ }));
    expect(within(found).getByRole("combobox", { name: "Column 1" })).toHaveValue("password_hash");
    await userEvent.click(within(found).getByRole("button", { name: "Remove" }));
    expect(within(found).getByRole("checkbox", { name: /users\.user: Review conflicts/ })).not.toBeChecked();

    await userEvent.click(within(found).getByRole("button", { name: /^match 1,204 rows/ }));
    await userEvent.selectOptions(
      within(found).getByRole("combobox", { name: "When two servers clash" }),
      "review",
    );
    await userEvent.selectOptions(within(found).getByRole("combobox", { name: "Columns are" }), "row");
    await userEvent.click(within(found).getByRole("checkbox", { name: "A delete guard of its own" }));
    await userEvent.click(within(found).getByRole("button", { name: /^role 4 rows/ }));
    await userEvent.click(within(found).getByRole("checkbox", { name: "name" }));
    expect(within(found).getByRole("button", { name: /^role 4 rows/ })).toHaveTextContent(
      "same if name agree",
    );

    await userEvent.click(screen.getByRole("button", { name: "Attach 2 databases" }));
    expect(lastAsk(host.attach)).toMatchObject({
      accepted: ["s1", "s2", "s3"],
      tables: [
        {
          database: "scouting",
          table: "match",
          config: { policy: "review", merge: "row", guard: { rows: "100", share: "0.2" } },
        },
        { database: "users", table: "role", config: { identity: ["name"] } },
      ],
    });
  });

  test("any table can be left out, suggested or not", async () => {
    const host = open("setupAttach");
    await userEvent.click(
      await within(screen.getByRole("main")).findByRole("button", { name: "Choose files…" }),
    );
    await userEvent.click(screen.getByRole("button", { name: "Look into them" }));
    const found = await screen.findByRole("region", { name: /9 tables with/ });
    await userEvent.click(within(found).getByText(/^Every table, and how it will be synced/));
    await userEvent.click(within(found).getByRole("button", { name: /^role 4 rows/ }));
    const leave = () => within(found).getByRole("checkbox", { name: /^Leave this table out/ });
    await userEvent.click(leave());
    expect(within(found).getByRole("button", { name: /^role 4 rows/ })).toHaveTextContent("left out");
    expect(within(found).queryByRole("combobox", { name: "When two servers clash" })).toBeNull();
    // The suggestion and the form say one thing.
    await userEvent.click(within(found).getByRole("button", { name: /^login_attempts/ }));
    expect(leave()).toBeChecked();
    await userEvent.click(leave());
    expect(within(found).getByRole("checkbox", { name: /scouting\.login_attempts/ })).not.toBeChecked();
    await userEvent.click(screen.getByRole("button", { name: "Attach 2 databases" }));
    expect(lastAsk(host.attach)).toMatchObject({
      accepted: ["s1", "s2", "s4"],
      tables: [],
      left_out: [{ database: "users", table: "role" }],
    });
  });

  test("that are no databases say so, and nothing is changed", async () => {
    const host = open("setupError");
    await userEvent.click(
      await within(screen.getByRole("main")).findByRole("button", { name: "Choose files…" }),
    );
    await userEvent.click(screen.getByRole("button", { name: "Look into them" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("users.db is not a database.");
    expect(host.attach).not.toHaveBeenCalled();
  });
});

describe("the other server", () => {
  test("gets an invite that never comes into the page", async () => {
    const host = open("setupPair");
    await userEvent.click(await screen.findByRole("checkbox", { name: "users" }));
    await userEvent.click(screen.getByRole("button", { name: "Save an invite as a file…" }));
    expect(lastAsk(host.invite)).toEqual({
      expires_ms: "600000",
      share: [{ what: "scouting", direction: "both", without: [] }],
      to: "file",
    });
    expect(await screen.findByText("The invite is saved")).toBeVisible();
  });

  test("gets neither the tables nor the columns that a person leaves out", async () => {
    const host = open("setupPair");
    await userEvent.click(await screen.findByText("Choose tables and columns"));
    await userEvent.click(screen.getByRole("checkbox", { name: "scouting.match" }));
    await userEvent.selectOptions(screen.getByRole("combobox", { name: "of" }), "users.user");
    expect(screen.queryByRole("checkbox", { name: "username" })).toBeNull();
    await userEvent.click(screen.getByRole("checkbox", { name: "password_hash" }));
    await userEvent.click(screen.getByRole("button", { name: "Save an invite as a file…" }));
    const all = ["event", "scouting_data", "team", "team_event"];
    expect(lastAsk(host.invite)).toMatchObject({
      share: [
        ...all.map((name) => ({ what: `scouting.${name}`, without: [] })),
        { what: "users", without: [] },
        { what: "users.user", without: ["password_hash"] },
      ],
    });
  });

  test("can't come to an address that only this computer reaches, and that is said before", async () => {
    open("setupPair", {
      address: async () => ({
        listens: "127.0.0.1:7467",
        told: "127.0.0.1:7467",
        here_only: true,
        own: true,
      }),
    });
    expect(await screen.findByText("Only this computer reaches 127.0.0.1:7467")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Change the address" }));
    expect(await screen.findByRole("button", { name: "Save the address" })).toBeVisible();
  });

  test("is called as it calls itself, unless a person says otherwise", async () => {
    const host = open("setupPair");
    await userEvent.click(await screen.findByRole("tab", { name: "I have an invite" }));
    await userEvent.type(screen.getByRole("textbox", { name: /Paste the invite/ }), "x");
    await userEvent.click(screen.getByRole("button", { name: "Read it" }));
    await userEvent.type(await screen.findByRole("textbox", { name: "Call it" }), "the venue");
    await userEvent.click(screen.getByRole("button", { name: "See what would happen" }));
    await userEvent.click(await screen.findByRole("button", { name: "Pair with the venue and sync" }));
    expect(lastAsk(host.pair)).toMatchObject({ as: "the venue" });
  });

  test("is joined with its invite, after a preview of what it would mean", async () => {
    const host = open("setupPair");
    await userEvent.click(await screen.findByRole("tab", { name: "I have an invite" }));
    await userEvent.type(screen.getByRole("textbox", { name: /Paste the invite/ }), "lockstep1-abc");
    await userEvent.click(screen.getByRole("button", { name: "Read it" }));
    expect(lastAsk(host.readInvite)).toEqual({ invite: "lockstep1-abc" });
    await userEvent.selectOptions(await screen.findByRole("combobox", { name: /files/ }), "separate");
    await userEvent.selectOptions(screen.getByRole("combobox", { name: /neither has a time/ }), "review");
    await userEvent.click(screen.getByRole("button", { name: "See what would happen" }));
    const meeting = await screen.findByRole("region", { name: /What pairing with venue-server would mean/ });
    expect(meeting).toHaveTextContent("users.user.password_hash");
    expect(meeting).toHaveTextContent("14 rows differ, and neither side has a time");
    expect(host.pair).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button", { name: "Pair with venue-server and sync" }));
    expect(lastAsk(host.pair)).toEqual({
      invite: "lockstep1-abc",
      as: "",
      share: [
        { what: "scouting", direction: "both", without: [] },
        { what: "users", direction: "both", without: [] },
      ],
      origin: "separate",
      prefer: "review",
    });
    expect(await screen.findByText("Paired with venue-server.")).toBeVisible();
    expect(screen.getByRole("heading", { name: "Sync just now" })).toBeVisible();
  });

  test("the first sync shows how far it is and how long it takes", async () => {
    open("setupProgress");
    await userEvent.click(await screen.findByRole("tab", { name: "I have an invite" }));
    await userEvent.type(screen.getByRole("textbox", { name: /Paste the invite/ }), "x");
    await userEvent.click(screen.getByRole("button", { name: "Read it" }));
    await userEvent.click(await screen.findByRole("button", { name: "See what would happen" }));
    await userEvent.click(await screen.findByRole("button", { name: /^Pair with/ }));
    expect((await screen.findAllByText(/31,200 of 48,210/)).length).toBeGreaterThan(0);
    expect(screen.getByRole("progressbar")).toHaveAttribute("value", String(31200 / 48210));
  });
});
