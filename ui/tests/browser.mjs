// The built page in the system's Chromium, with the scripted host: a server of its own with the console's own content
// security policy, a clock that stands still, and a page for each scene that notes whatever went wrong in it.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve } from "node:path";
import { chromium } from "playwright-core";

const UI = resolve(import.meta.dirname, "..");
const BUILT = join(UI, "dist-scripted");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
/** When the scenes take place. */
const NOW = new Date("2026-03-14T10:30:00Z");
const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"].map((name) => `/usr/bin/${name}`);

/** The policy of the real window, as a header. */
async function policy() {
  const conf = JSON.parse(await readFile(join(UI, "../tauri.conf.json"), "utf8"));
  return Object.entries(conf.app.security.csp)
    .map(([directive, sources]) => `${directive} ${sources}`)
    .join("; ");
}

async function serve() {
  const csp = await policy();
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://page");
    if (pathname === "/favicon.ico") return response.writeHead(204).end();
    try {
      const body = await readFile(join(BUILT, pathname));
      const type = TYPES[extname(pathname)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-security-policy": csp }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** A browser that opens scenes until it is closed. */
export async function openBrowser() {
  const executablePath = PROGRAMS.find((path) => existsSync(path));
  if (!executablePath) throw new Error("no Chromium here: sh tools/setup.sh console installs it");
  const server = await serve();
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox"],
    ignoreDefaultArgs: ["--hide-scrollbars"],
  });

  /** A page that looks like that, and what went wrong in it. */
  async function newPage({ theme = "light", width = 1080, height = 760 }) {
    const context = await browser.newContext({
      viewport: { width, height },
      locale: "en-GB",
      timezoneId: "Europe/London",
      reducedMotion: "reduce",
      colorScheme: theme === "dark" ? "dark" : "light",
      permissions: ["clipboard-read", "clipboard-write"],
    });
    const page = await context.newPage();
    const wrong = [];
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") wrong.push(message.text());
    });
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("dialog", (dialog) => (wrong.push(`a dialog: ${dialog.message()}`), dialog.dismiss()));
    await page.addInitScript(() => {
      localStorage.clear();
      addEventListener("securitypolicyviolation", (event) =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
      );
    });
    await page.clock.setFixedTime(NOW);
    return { page, wrong, close: () => context.close() };
  }

  async function show(page, scene, { theme = "light", text = 100 }) {
    const asked = new URLSearchParams({ scene, theme, text: String(text) });
    await page.goto(`${server.url}/design.html?${asked}`);
    await page.locator("main").waitFor();
  }

  /** One scene in a page of its own. */
  async function open(scene, look = {}) {
    const one = await newPage(look);
    await show(one.page, scene, look);
    return one;
  }

  const pages = new Map();
  /** One scene in the page that all scenes of that look share; closing it leaves the page to the next. */
  async function visit(scene, look = {}) {
    const name = JSON.stringify(look);
    if (!pages.has(name)) pages.set(name, await newPage(look));
    const { page, wrong } = pages.get(name);
    wrong.length = 0;
    await show(page, scene, look);
    return { page, wrong, close: async () => {} };
  }

  return {
    open,
    visit,
    close: async () => {
      await browser.close();
      server.close();
    },
  };
}

/** Resolves when nothing has changed in the page for a moment. */
export function settled(page) {
  return page.evaluate(
    () =>
      new Promise((done) => {
        let wait = setTimeout(done, 120);
        new MutationObserver(() => {
          clearTimeout(wait);
          wait = setTimeout(done, 120);
        }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
        setTimeout(done, 3000);
      }),
  );
}
