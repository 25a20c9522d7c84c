// How reliable the sync with one peer has been: its days, and what they amount to. Only verified runs are a success.
import type { Rate } from "../host/host";
import { count, sum } from "../text/count";

export interface Day {
  /** `2026-03-14` */
  day: string;
  rate: Rate | null;
  /** Of 1; null without a run. */
  verified: number | null;
}

export interface Reliability {
  peer: string;
  /** The oldest first, one for each day. */
  days: Day[];
  /** `98.7 %`; null without a run. */
  share: string | null;
  runs: string;
}

/** The last days up to today, as rates name them. */
export function lastDays(days: number, now: number): string[] {
  return Array.from({ length: days }, (_, n) => {
    const day = new Date(now);
    // Noon, so that no change of the clock skips a day.
    day.setHours(12, 0, 0, 0);
    day.setDate(day.getDate() - (days - 1 - n));
    const two = (of: number) => String(of).padStart(2, "0");
    return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
  });
}

/** A share in percent that says 100 only where it is all of them. */
export function percent(part: bigint, of: bigint): string {
  const tenths = (part * 1000n) / of;
  return tenths === 1000n ? "100 %" : `${tenths / 10n}.${tenths % 10n} %`;
}

export function reliability(peers: string[], rates: Rate[], days: number, now: number): Reliability[] {
  return peers.map((peer) => {
    const own = rates.filter((rate) => rate.peer === peer);
    const runs = BigInt(sum(own.map((rate) => rate.runs)));
    const verified = BigInt(sum(own.map((rate) => rate.verified)));
    return {
      peer,
      days: lastDays(days, now).map((day) => {
        const rate = own.find((one) => one.day === day && BigInt(one.runs) > 0n) ?? null;
        return { day, rate, verified: rate === null ? null : Number(rate.verified) / Number(rate.runs) };
      }),
      share: runs === 0n ? null : percent(verified, runs),
      runs: count(String(runs)),
    };
  });
}
