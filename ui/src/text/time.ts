// Moments and lengths of time, as people say them.
import type { Millis } from "../host/host";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long: `12 s`, `4 min`, `3 h`, `5 days`. Rounded down, so that it never claims more than has passed. */
export function length(ms: number): string {
  if (ms < SECOND) return "less than a second";
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} days`;
}

/** How long ago. A moment in the future (clocks differ) is now. */
export function ago(at: Millis, now: number): string {
  const passed = Math.max(0, now - Number(at));
  return passed < 10 * SECOND ? "just now" : `${length(passed)} ago`;
}

/** A run's duration: `0.8 s`, `2 min`. */
export function took(ms: Millis): string {
  const passed = Math.max(0, Number(ms));
  return passed < 10 * SECOND ? `${(passed / SECOND).toFixed(1)} s` : length(passed);
}

/** The moment on this computer's clock, without the date where it is today's. */
export function local(at: Millis, now: number): string {
  const moment = new Date(Number(at));
  const today = moment.toDateString() === new Date(now).toDateString();
  return moment.toLocaleString(undefined, {
    ...(today ? {} : { year: "numeric", month: "short", day: "numeric" }),
    hour: "2-digit",
    minute: "2-digit",
  });
}

/** The moment in UTC, whole: `2026-03-14 09:26:53 UTC`. */
export function utc(at: Millis): string {
  return `${new Date(Number(at)).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** A peer's clock less ours, as a person says it. */
export function clock(offset: Millis | null): string {
  if (offset === null) return "not known yet";
  const ms = Number(offset);
  if (Math.abs(ms) < SECOND) return "same as here";
  return `${length(Math.abs(ms))} ${ms > 0 ? "ahead" : "behind"}`;
}

/** A day (`2026-03-14`) as people write it: `14 Mar`. */
export function dayName(day: string): string {
  if (day === "") return "";
  return new Date(`${day}T12:00:00`).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}
