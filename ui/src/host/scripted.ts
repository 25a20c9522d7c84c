// A host that answers what a scene says, in order; the last answer is repeated.
import type { Host } from "./host";
import type { Failure, RunView, StatusView } from "./types";

export interface Scene {
  status: (StatusView | Failure | "never")[];
  run?: RunView | Failure | "never";
}

export function scriptedHost(scene: Scene): Host {
  let asked = 0;
  return {
    status() {
      const answer = scene.status[Math.min(asked++, scene.status.length - 1)];
      return settle(answer ?? "never");
    },
    syncNow: () => settle(scene.run ?? { peers: [] }),
  };
}

function settle<T extends object>(answer: T | Failure | "never"): Promise<T> {
  if (answer === "never") return new Promise(() => {});
  return "code" in answer ? Promise.reject(answer) : Promise.resolve(answer);
}
