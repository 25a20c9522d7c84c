// The desktop's own file dialogs, which no page and no driver of pages reaches: a person's keys, through the display.
import { execFileSync } from "node:child_process";
import { setTimeout as rest } from "node:timers/promises";
import { until } from "./webdriver.mjs";

function xdotool(...args) {
  return execFileSync("xdotool", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}

/** The dialog with that title; null: there is none. */
function shown(title) {
  try {
    return xdotool("search", "--onlyvisible", "--name", title).split("\n")[0];
  } catch {
    return null;
  }
}

/** Waits for the dialog with that title, writes the path into it, and agrees. */
export async function answer(title, path) {
  const dialog = await until(`the dialog ${title}`, () => shown(title));
  for (const patience of [200, 500, 1000, 2000, 4000]) {
    // There is no window manager here that would give it the keyboard.
    xdotool("windowfocus", dialog);
    // A slash opens the line for a path; while it opens, keys are lost, so all of it is written after.
    xdotool("key", "slash");
    await rest(patience);
    xdotool("key", "ctrl+a");
    xdotool("type", "--delay", "10", path);
    await rest(patience);
    xdotool("key", "Return");
    for (let n = 0; n < 10; n++) {
      if (shown(title) !== dialog) return;
      await rest(patience / 4);
    }
    // It found no such file, and says so.
    xdotool("key", "Escape");
  }
  throw new Error(`the dialog ${title} did not take ${path}`);
}

/** Waits for the question with that title, and answers it. */
export async function agree(title, yes) {
  const dialog = await until(`the question ${title}`, () => shown(title));
  for (const patience of [200, 500, 1000, 2000, 4000]) {
    xdotool("windowfocus", dialog);
    await rest(patience);
    // The button that agrees is the one that Return presses.
    xdotool("key", yes ? "Return" : "Escape");
    await rest(patience);
    if (shown(title) !== dialog) return;
  }
  throw new Error(`the question ${title} was not answered`);
}
