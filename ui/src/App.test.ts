// The page with a scripted host: what a person finds in each state, and what the keys do.
import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, test, vi } from "vitest";
import App from "./App.svelte";
import type { Host, HostEvent } from "./host/host";
import { scenes, type SceneName } from "./host/scenes";
import { scriptedHost } from "./host/scripted";
import { preferences } from "./preferences.svelte";

function open(name: SceneName): Host {
  const scene = scenes[name]();
  const host = scriptedHost(scene);
  vi.spyOn(host, "status");
  vi.spyOn(host, "syncNow");
  render(App, { host, screen: scene.screen });
  return host;
}

const syncButton = () => screen.getByRole("button", { name: /^Sync(ing…| now)/ });

beforeEach(() => {
  localStorage.clear();
  preferences.theme = "system";
  preferences.text = 100;
  preferences.utc = false;
});

describe("what a person sees", () => {
  test("fine: one sentence, no values lost, every peer with its name and state", async () => {
    open("fine");
    expect(await screen.findByRole("heading", { level: 1, name: "Everything is in step" })).toBeVisible();
    expect(screen.getByText("Values lost").parentElement).toHaveTextContent("Accounted for");
    const servers = screen.getByRole("region", { name: "Paired servers" });
    const laptop = within(servers)
      .getByRole("heading", { name: "pit-laptop" })
      .closest("article") as HTMLElement;
    expect(within(laptop).getByText("In step")).toBeVisible();
    expect(laptop).toHaveTextContent("4 min ago");
    expect(screen.getByText("1 min behind")).toBeVisible();
    expect(screen.getByText("48,210")).toBeVisible();
  });

  test("loading: says so, and Sync now can't be pressed", () => {
    open("loading");
    expect(screen.getByText("Reading this node's state…")).toBeInTheDocument();
    expect(syncButton()).toBeDisabled();
  });

  test("no node: what it means, and what to do", async () => {
    open("nonode");
    expect(await screen.findByRole("heading", { name: "This computer has no node yet" })).toBeVisible();
    expect(screen.getByRole("button", { name: "Set up" })).toBeVisible();
    expect(syncButton()).toBeDisabled();
  });

  test("a first reading that fails: the reason, its code, and a retry", async () => {
    const host = open("unreadable");
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("The file of scouting is locked by another program.");
    expect(alert).toHaveTextContent("database_busy");
    await userEvent.click(within(alert).getByRole("button", { name: "Try again" }));
    expect(host.status).toHaveBeenCalledTimes(2);
  });

  test("empty: says what to do next", async () => {
    open("nothing");
    expect(await screen.findByRole("heading", { name: "No database is attached yet" })).toBeVisible();
    expect(screen.getByRole("button", { name: "Choose files" })).toBeVisible();
    expect(syncButton()).toBeDisabled();
  });

  test("a reading that fails keeps what was known, with its age", async () => {
    const host = open("broken");
    await screen.findByRole("heading", { level: 1 });
    document.dispatchEvent(new Event("visibilitychange"));
    expect(await screen.findByRole("alert")).toHaveTextContent("locked by another program");
    expect(screen.getAllByText(/known 2 min ago/)[0]).toBeVisible();
    expect(host.status).toHaveBeenCalledTimes(2);
  });

  test("values that could not be counted are never shown as none", async () => {
    open("uncounted");
    const lost = (await screen.findByText("Values lost")).parentElement as HTMLElement;
    expect(lost).toHaveTextContent("?");
    expect(lost).toHaveTextContent("Not counted");
  });

  test("names are text, never markup, and no digit is lost", async () => {
    open("hostile");
    expect(await screen.findByText("<img src=x onerror=alert(1)>", { exact: false })).toBeVisible();
    expect(screen.getByText("<b>scouting</b>")).toBeVisible();
    expect(screen.getByText("9,223,372,036,854,775,807")).toBeVisible();
    expect(document.querySelector("img, script, b")).toBeNull();
  });
});

describe("Sync now", () => {
  test("syncs, says how it went, and reads again", async () => {
    const host = open("fine");
    await screen.findByRole("heading", { level: 1 });
    await userEvent.click(syncButton());
    expect(await screen.findByRole("heading", { name: "Sync just now" })).toBeVisible();
    expect(screen.getByText(/12 sent, 1,840 received, 31 rows under another id; 0.8 s/)).toBeVisible();
    expect(host.syncNow).toHaveBeenCalledTimes(1);
    await waitFor(() => expect(host.status).toHaveBeenCalledTimes(2));
    await userEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(screen.queryByRole("heading", { name: "Sync just now" })).toBeNull();
  });

  test("F9 does the same, once at a time", async () => {
    const host = open("pending");
    await screen.findByRole("heading", { level: 1 });
    await userEvent.keyboard("{F9}{F9}");
    expect(await screen.findByRole("heading", { level: 1, name: "Syncing now" })).toBeVisible();
    expect(syncButton()).toBeDisabled();
    expect(host.syncNow).toHaveBeenCalledTimes(1);
  });

  test("names the peer that failed, beside the one that did not", async () => {
    open("conflict");
    await screen.findByRole("heading", { level: 1 });
    await userEvent.click(syncButton());
    const report = (await screen.findByRole("heading", { name: "Sync just now" })).closest(
      "section",
    ) as HTMLElement;
    expect(report).toHaveTextContent("Verified, something waits");
    expect(report).toHaveTextContent("venue-server did not answer.");
    expect(report).toHaveTextContent("Did not work");
  });

  test("a run that could not start says why", async () => {
    open("broken");
    await screen.findByRole("heading", { level: 1 });
    await userEvent.click(syncButton());
    expect(await screen.findByText("The sync did not start")).toBeVisible();
  });
});

describe("appearance", () => {
  test("theme and text size hold for the whole page and are kept", async () => {
    open("fine");
    await userEvent.click(screen.getByRole("button", { name: "Settings" }));
    await userEvent.click(screen.getByRole("tab", { name: "Appearance" }));
    await userEvent.click(screen.getByRole("radio", { name: "Dark" }));
    await userEvent.click(screen.getByRole("radio", { name: "200 %" }));
    expect(document.documentElement).toHaveAttribute("data-theme", "dark");
    expect(document.documentElement).toHaveAttribute("data-text", "200");
    expect(localStorage.getItem("lockstep.theme")).toBe("dark");
  });

  test("the keys change the text size within its bounds", async () => {
    open("fine");
    await userEvent.keyboard("{Control>}-{/Control}");
    expect(preferences.text).toBe(100);
    await userEvent.keyboard("{Control>}======={/Control}");
    expect(preferences.text).toBe(200);
    await userEvent.keyboard("{Control>}0{/Control}");
    expect(preferences.text).toBe(100);
  });

  test("UTC stands beside local time when asked for", async () => {
    open("fine");
    await screen.findByRole("heading", { level: 1 });
    expect(screen.queryByText(/UTC/)).toBeNull();
    preferences.utc = true;
    expect((await screen.findAllByText(/UTC/)).length).toBeGreaterThan(0);
  });

  test("? lists the keys", async () => {
    open("fine");
    await userEvent.keyboard("?");
    expect(screen.getByRole("dialog", { name: "Keys" })).toHaveTextContent("F9");
    await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Close" }));
    expect(screen.queryByRole("dialog")).toBeNull();
  });
});

test("nothing takes the focus by itself", async () => {
  open("conflict");
  await screen.findByRole("heading", { level: 1 });
  expect(document.body).toHaveFocus();
});

describe("what the desktop says", () => {
  async function told() {
    const heard: ((event: HostEvent) => void)[] = [];
    const scene = scenes.fine();
    const listen: Host["listen"] = (hears) => {
      heard.push(hears);
      return () => {};
    };
    const host = { ...scriptedHost(scene), listen, desktopIsDark: async () => false };
    vi.spyOn(host, "status");
    render(App, { host });
    await screen.findByRole("heading", { level: 1 });
    return { host, tell: (event: HostEvent) => heard.forEach((hears) => hears(event)) };
  }

  test("its theme holds where the person chose none", async () => {
    const { tell } = await told();
    await waitFor(() => expect(document.documentElement).toHaveAttribute("data-theme", "light"));
    tell({ kind: "theme", dark: true });
    await waitFor(() => expect(document.documentElement).toHaveAttribute("data-theme", "dark"));
    preferences.theme = "light";
    await waitFor(() => expect(document.documentElement).toHaveAttribute("data-theme", "light"));
    preferences.desktopIsDark = null;
  });

  test("the tray opens a screen, and what changed is read again", async () => {
    const { host, tell } = await told();
    tell({ kind: "open", screen: "conflicts" });
    expect(await screen.findByRole("heading", { level: 1, name: "Conflicts" })).toBeVisible();
    tell({ kind: "changed" });
    await waitFor(() => expect(host.status).toHaveBeenCalledTimes(2));
    preferences.desktopIsDark = null;
  });
});

describe("quitting", () => {
  test("Ctrl+Q and the button end the console", async () => {
    const quit = vi.spyOn(open("fine"), "quit");
    await screen.findByRole("heading", { level: 1 });
    await userEvent.keyboard("{Control>}q{/Control}");
    expect(quit).toHaveBeenCalledOnce();
    await userEvent.click(screen.getByRole("button", { name: "Quit" }));
    expect(quit).toHaveBeenCalledTimes(2);
  });

  test("asks before decisions are forgotten that were not applied", async () => {
    const quit = vi.spyOn(open("conflictsRows"), "quit");
    await screen.findByRole("group", { name: "Decide" });
    await userEvent.keyboard("1");
    await userEvent.keyboard("{Control>}q{/Control}");
    expect(quit).not.toHaveBeenCalled();
    const dialog = screen.getByRole("dialog", { name: "Quit, and forget what you decided?" });
    expect(dialog).toHaveTextContent("1 decision is made and not applied yet");
    await userEvent.click(within(dialog).getByRole("button", { name: "Quit" }));
    expect(quit).toHaveBeenCalledOnce();
  });
});
