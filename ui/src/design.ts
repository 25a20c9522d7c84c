// The page with a scripted host, for designing and for looking at every state:
// `npm run design`, then /design.html?scene=conflict (and &theme=dark&text=200&utc=yes).
import { mount } from "svelte";
import "./base.css";
import type { Host } from "./host/host";
import { scenes, type SceneName } from "./host/scenes";
import { scriptedHost } from "./host/scripted";

const asked = new URLSearchParams(location.search);
for (const key of ["theme", "text", "utc"]) {
  const value = asked.get(key);
  if (value !== null) localStorage.setItem(`lockstep.${key}`, value);
}
// For the tests: every scene, and what the page asked of its host.
const calls: string[] = [];
Object.assign(window, { scenes: Object.keys(scenes), calls });
const name = asked.get("scene") ?? "fine";
const scene = (name in scenes ? scenes[name as SceneName] : scenes.fine)();

const host = new Proxy(scriptedHost(scene), {
  get(of, name: keyof Host) {
    const call = of[name];
    return (...ask: [never]) => (calls.push(name), call(...ask));
  },
});

// Only now, since it reads what was just kept.
const { default: App } = await import("./App.svelte");
mount(App, { target: document.body, props: { host, screen: scene.screen } });
