// `make console`: two servers with something to see, and nothing left running.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { installed, place, programs } from "./nodes.mjs";
import { until } from "./webdriver.mjs";

test("the example opens on conflicts to decide, and ends with its window", async (t) => {
  const folder = join(await place(t), "console");
  const small = ["--folder", folder, "--rows", "60"];
  const built = ["--lockstep", join(programs, "lockstep"), "--console", join(programs, "lockstep-console")];
  const example = spawn("python3", ["examples/scouting/console.py", ...built, ...small], {
    env: { ...process.env, WEBKIT_DISABLE_DMABUF_RENDERER: "1", LIBGL_ALWAYS_SOFTWARE: "1" },
    stdio: "ignore",
  });
  const ended = once(example, "exit");
  t.after(() => example.kill());
  const [school, venue] = ["a", "b"].map((letter) => installed(join(folder, letter, "home")));
  const status = (node) => JSON.parse(node.lockstep(["status", "--json"]));

  const here = await until("the console to run the school's node", () => {
    const found = status(school);
    return found.agent && found;
  });
  assert.equal(here.name, "school-server");
  assert.ok(here.conflicts_unreviewed > 0, "there is something to look at");
  assert.ok(
    here.databases.some((one) => one.held > 0),
    "and to decide",
  );
  assert.equal(here.values_lost, 0);
  assert.notEqual(status(venue).agent, null);

  example.kill();
  await ended;
  assert.equal(status(school).agent, null);
  assert.equal(status(venue).agent, null);
});
