// Whether a call failed because the other server can't be asked now, and not because something is wrong.
import type { Failure } from "./types";

const AWAY = ["unreachable", "timed_out", "no_address", "not_reached"];

export function isAway(failure: Failure | null): boolean {
  return failure !== null && AWAY.includes(failure.code);
}
