// Opens the page on a scene, with a spy on every call of its host.
import { render } from "@testing-library/svelte";
import { type Mocked, vi } from "vitest";
import App from "./App.svelte";
import type { Host } from "./host/host";
import { scenes, type SceneName } from "./host/scenes";
import { scriptedHost } from "./host/scripted";

export function open(name: SceneName, over: Partial<Host> = {}): Mocked<Host> {
  const scene = scenes[name]();
  const host = { ...scriptedHost(scene), ...over };
  for (const call of Object.keys(host) as (keyof Host)[]) vi.spyOn(host, call);
  render(App, { host, screen: scene.screen });
  return host as Mocked<Host>;
}

/** What a call was asked, the last time. */
export function lastAsk(call: { mock: { calls: unknown[][] } }): unknown {
  return call.mock.calls.at(-1)?.[0];
}
