import { screen } from "@testing-library/svelte";
import { expect, test } from "vitest";
import type { HostEvent } from "../host/host";
import { peerRun } from "../host/world/overview";
import { open } from "../test.open";

test("how far a sync in the background is stands at the bottom until it has ended", async () => {
  const heard: ((event: HostEvent) => void)[] = [];
  open("runsRows", {
    listen: (hear) => {
      heard.push(hear);
      return () => {};
    },
  });
  const tell = (event: HostEvent) => heard.forEach((hear) => hear(event));
  const progress = {
    task: "sync",
    what: "venue-server",
    done: "3100",
    total: "12004",
    left_ms: null,
  } as const;
  tell({ kind: "progress", progress });
  expect(await screen.findByText("venue-server: 3,100 of 12,004")).toBeVisible();
  tell({ kind: "ran", run: peerRun("venue-server") });
  await expect.poll(() => screen.queryByText("venue-server: 3,100 of 12,004")).toBeNull();
});
