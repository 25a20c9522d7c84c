// The console's window as a person meets it: the real program, a real WebKit, this computer's node.
import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { openConsole } from "./webdriver.mjs";

const target = resolve(process.env.CARGO_TARGET_DIR ?? "target", "debug");

test("the window opens, and keeps to its policy", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "lockstep-console-"));
  const window = await openConsole(join(target, "lockstep-console"), { LOCKSTEP_HOME: join(home, "node") });
  t.after(window.close);

  console.log(await window.text("main"));
  if (process.env.PICTURES) await writeFile(join(process.env.PICTURES, "window.png"), await window.picture());
});
