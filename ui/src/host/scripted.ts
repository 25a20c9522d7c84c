// A host that lives in a scripted world: what a scene says, and a world where all is well for the rest.
import type { Host, Screen } from "./host";
import { world } from "./world/world";

export interface Scene {
  /** The screen that it is about. */
  screen: Screen;
  /** What is different from a world where all is well. */
  calls: Partial<Host>;
}

export function scriptedHost(scene: Scene): Host {
  return { ...world(), ...scene.calls };
}

/** Never answers. */
export const silent = () => new Promise<never>(() => {});

/** Answers with a failure. */
export const fails = (failure: object) => () => Promise.reject(failure);

/** Answers one after the other; the last is repeated. A failure (it has a code) rejects. */
export function inTurn<T extends object>(...answers: T[]): () => Promise<T> {
  let asked = 0;
  return () => {
    const answer = answers[Math.min(asked++, answers.length - 1)] as T;
    return "code" in answer ? Promise.reject(answer) : Promise.resolve(answer);
  };
}
