// The real console, driven through WebKitWebDriver: as much of the protocol as the tests need.
// Needs a display and a session bus: `xvfb-run -a dbus-run-session -- node --test tests/console/`.
import { spawn } from "node:child_process";
import { createServer } from "node:net";

/** What is pressed and what is written into. */
const PRESSED = "button, a, summary, [role=tab], [role=menuitem], input[type=checkbox], input[type=radio]";
const TYPED = "input:not([type=checkbox], [type=radio]), textarea, select";
/** Finds by its name what is shown and can be used. A label names its field; keys beside the words are not the name. */
const FIND = `
  const [css, source, within] = arguments;
  const pattern = new RegExp(source);
  const words = (element) => (element?.innerText ?? "").replace(/\\s+/g, " ").trim();
  const names = (one) => [one.getAttribute("aria-label"), words(one), ...[...(one.labels ?? [])].map(words)];
  const fits = (one) => names(one).some((name) => name && pattern.test(name));
  const shown = (one) => !one.disabled && one.getClientRects().length > 0;
  const dialog = document.querySelector("dialog[open]") ?? document;
  const place = within ? dialog.querySelector(within) : dialog;
  if (!place) return null;
  return [...place.querySelectorAll(css)].find((one) => shown(one) && fits(one)) ?? null;`;

/** Chooses from a list, as a click on an entry of it would: the driver can't reach the list that WebKit draws. */
const CHOOSE = `
  const [field, text] = arguments;
  const entry = [...field.options].find((one) => one.value === text || one.innerText.trim() === text);
  if (!entry) return false;
  field.value = entry.value;
  field.dispatchEvent(new Event("change", { bubbles: true }));
  return true;`;

/** A text is the beginning of a name; a pattern is searched for in it. */
function named(name) {
  return name instanceof RegExp ? name.source : "^" + name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** A port that is free now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Asks until there is an answer other than nothing, false or an error. */
export async function until(what, ask, patience = 60_000) {
  const end = Date.now() + patience;
  for (let last; ;) {
    try {
      const answer = await ask();
      if (answer != null && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Starts the console with this environment and returns a hold on its window. */
export async function openConsole(program, environment) {
  const port = await freePort();
  const driver = spawn("WebKitWebDriver", [`--port=${port}`], {
    env: {
      ...process.env,
      TAURI_WEBVIEW_AUTOMATION: "true",
      WEBKIT_DISABLE_DMABUF_RENDERER: "1",
      LIBGL_ALWAYS_SOFTWARE: "1",
      ...environment,
    },
    // A group of its own, so that its end is the end of all that it started; and no pipe of ours, which a
    // helper of WebKit that is slow to go would hold open.
    detached: true,
    stdio: "ignore",
  });
  const gone = new Promise((resolve) => driver.once("exit", resolve));
  const base = `http://127.0.0.1:${port}`;
  const call = async (method, path, body) => {
    const answer = await fetch(base + path, { method, ...(body && { body: JSON.stringify(body) }) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
  const stop = async () => {
    process.kill(-driver.pid, "SIGTERM");
    await gone;
  };
  try {
    await until("the driver", () => call("GET", "/status").then(() => true));
    const { sessionId } = await call("POST", "/session", {
      capabilities: { alwaysMatch: { "webkitgtk:browserOptions": { binary: program, args: [] } } },
    });
    const session = `/session/${sessionId}`;
    const script = (text, ...args) => call("POST", `${session}/execute/sync`, { script: text, args });
    const find = (css) => script("return document.querySelector(arguments[0])?.innerText", css);
    const press = (name, within = null) =>
      until(`something to press that says ${name}`, async () => {
        const found = await script(FIND, PRESSED, named(name), within);
        if (found === null) return false;
        await call("POST", `${session}/element/${found[ELEMENT]}/click`, {});
        return true;
      });
    return {
      script,
      /** The text of the first element that matches, once there is one. */
      text: (css) => until(css, () => find(css)),
      /** Waits until the first element that matches reads so. */
      reads: (css, pattern) => until(`${css} to read ${pattern}`, async () => pattern.test(await find(css))),
      click: async (css) => {
        const found = await call("POST", `${session}/element`, { using: "css selector", value: css });
        await call("POST", `${session}/element/${found[ELEMENT]}/click`, {});
      },
      /** Clicks what a person reads: the button, tab, entry or box with that name, once it can be pressed. */
      press: (name) => press(name),
      /** The same in a part of the page. */
      pressIn: (css, name) => press(name, css),
      /** Writes into the field with that name, or chooses there what has that text or value. */
      type: async (name, text) => {
        const found = await until(`a field ${name}`, () => script(FIND, TYPED, named(name)));
        if (await script("return arguments[0].tagName === 'SELECT'", found)) {
          await until(`an entry ${text}`, () => script(CHOOSE, found, text));
          return;
        }
        const field = `${session}/element/${found[ELEMENT]}`;
        await call("POST", `${field}/clear`, {});
        await call("POST", `${field}/value`, { text });
      },
      /** Waits until the window says so, and returns the text that says it. */
      says: (pattern) =>
        until(`the window to say ${pattern}`, async () => {
          const text = await script("return document.body.innerText");
          return pattern.test(text) && text;
        }),
      close: async () => {
        await call("DELETE", session).catch(() => {});
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
