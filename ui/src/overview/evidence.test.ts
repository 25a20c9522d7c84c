import { screen } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import * as overview from "../host/world/overview";
import { open } from "../test.open";

async function verify() {
  await userEvent.click(await screen.findByRole("button", { name: "See the evidence" }));
  await userEvent.click(await screen.findByRole("button", { name: "Verify against the tables" }));
}

test("verifying reads every row again, and the accounts are drawn anew", async () => {
  const host = open("fine");
  await verify();
  expect(await screen.findByText(/Every row was read again/)).toBeVisible();
  expect(host.verify).toHaveBeenLastCalledWith({ peer: null });
  expect(host.balance).toHaveBeenCalledTimes(2);
});

test("what is not equal is named, by server, with what could not be asked", async () => {
  const away = { code: "unreachable", message: "venue-server can't be reached", hint: null };
  const differs = { database: "scouting", table: "match", peer: "pit-laptop" };
  const found = overview.verified({
    equal: false,
    findings: ["scouting.team: the digest that is kept is not that of the rows"],
    differs: [
      { ...differs, state: "differs", because: "1 row differs though both servers have the same writes" },
      { ...differs, peer: "venue-server", state: "behind", because: null },
    ],
    peers: [{ peer: "venue-server", equal: false, as_of: null, error: away }],
  });
  open("fine", { verify: async () => found });
  await verify();
  expect(await screen.findByText("Not everything was found equal")).toBeVisible();
  expect(screen.getByText(/scouting.team: the digest that is kept/)).toBeVisible();
  expect(screen.getByText(/scouting.match, with pit-laptop: 1 row differs/)).toBeVisible();
  expect(screen.getByText(/with venue-server: By what it said last, writes are under way\./)).toBeVisible();
  expect(screen.getByText(/venue-server was not asked now\. .*can't be reached/)).toBeVisible();
});
