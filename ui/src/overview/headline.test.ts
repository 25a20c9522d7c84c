import { describe, expect, test } from "vitest";
import { scenes, type SceneName } from "../host/scenes";
import type { Host, StatusView } from "../host/host";
import { peer } from "../host/world/overview";
import { headline, peerBadge, type Tone } from "./headline";

async function of(name: SceneName): Promise<StatusView> {
  const { status } = scenes[name]().calls as Partial<Host>;
  if (!status) throw new Error(`${name} has no status`);
  return status();
}

describe("the sentence", async () => {
  const cases: [SceneName, Tone, string][] = [
    ["fine", "fine", "Everything is in step"],
    ["pending", "moving", "12 rows are on the way"],
    ["conflict", "waiting", "3 conflicts to look at, 2 changes held"],
    ["offline", "away", "pit-laptop can't be reached"],
    ["stale", "stale", "Not compared for a while"],
    ["first", "stale", "Not compared yet with pit-laptop"],
    ["capture", "trouble", "Writes to scouting may go unseen"],
    ["lost", "trouble", "2 values are in no account"],
    ["uncounted", "trouble", "The balance could not be drawn"],
    ["nothing", "setup", "No database is attached yet"],
    ["alone", "setup", "No other node is paired yet"],
  ];
  test.each(cases)("of %s", async (name, tone, sentence) => {
    const line = headline(await of(name), false, Date.now());
    expect(line).toMatchObject({ tone, sentence });
    expect(line.word).not.toBe("");
  });

  test("says who waits when one change does", async () => {
    const one = { ...(await of("fine")), state: "conflict" as const, conflicts_unreviewed: "1" };
    expect(headline(one, false, Date.now()).sentence).toBe("1 conflict to look at");
  });

  test("only fine is green", () => {
    for (const [name, tone] of cases) if (name !== "fine") expect(tone).not.toBe("fine");
  });

  test("names who holds something when nothing is held here", async () => {
    const [peer] = (await of("fine")).peers;
    const there = { ...(await of("fine")), state: "conflict" as const, peers: [{ ...peer!, held: "13" }] };
    expect(headline(there, false, Date.now()).sentence).toBe(
      "pit-laptop holds changes that wait for a person",
    );
  });

  test("names every peer with its age", async () => {
    expect(headline(await of("fine"), false, Date.now()).detail).toContain("pit-laptop 4 min ago");
  });

  test("a sync that runs is said first", async () => {
    expect(headline(await of("conflict"), true, Date.now()).tone).toBe("busy");
  });
});

describe("a peer's badge", () => {
  test.each([
    [{}, "fine"],
    [{ pending: "1" }, "moving"],
    [{ held: "1", pending: "1" }, "waiting"],
    [{ coming: "3" }, "moving"],
    [{ last_verified_at: null }, "stale"],
    [{ last_verified_at: String(Date.now() - 25 * 60 * 60 * 1000) }, "stale"],
    [{ reachable: false, held: "1" }, "away"],
    [{ capture: { kind: "problem", what: "gone" } as const, reachable: false }, "trouble"],
  ])("with %o is %s", (over, tone) =>
    expect(peerBadge({ ...peer("pit-laptop"), ...over }, Date.now()).tone).toBe(tone),
  );
});
