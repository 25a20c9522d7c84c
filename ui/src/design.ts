// The page with a scripted host, for designing and for looking at every state:
// `npm run design`, then /design.html?scene=conflict (and &theme=dark&text=200&utc=yes).
import { mount } from "svelte";
import "./base.css";
import { scenes, type SceneName } from "./host/scenes";
import { scriptedHost } from "./host/scripted";

const asked = new URLSearchParams(location.search);
for (const key of ["theme", "text", "utc"]) {
  const value = asked.get(key);
  if (value !== null) localStorage.setItem(`lockstep.${key}`, value);
}
const name = asked.get("scene") ?? "fine";
const scene = name in scenes ? scenes[name as SceneName] : scenes.fine;

// Only now, since it reads what was just kept.
const { default: App } = await import("./App.svelte");
mount(App, { target: document.body, props: { host: scriptedHost(scene()) } });
