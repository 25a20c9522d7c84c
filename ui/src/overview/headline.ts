// The one sentence at the top, and the word and tone of each badge. State is always shape, word and colour.
import type { Visit } from "../frame/console.svelte";
import type { Capture, Count, DatabaseView, Failure, PeerView, Screen, StatusView } from "../host/host";
import { count, counted, isNone, listed, sentence, sum } from "../text/count";
import { ago, length, local } from "../text/time";

/** A tone has one shape and one colour everywhere; the word says the rest. */
export type Tone =
  "fine" | "waiting" | "trouble" | "away" | "resting" | "busy" | "moving" | "stale" | "setup";

export interface Headline {
  tone: Tone;
  /** One or two words, for the badge beside the sentence. */
  word: string;
  sentence: string;
  detail: string;
  /** The screen where a person goes on from here. */
  next: { screen: Screen; label: string; visit?: Visit } | null;
}

/** A pause that ends so far ahead ends when a person says so. */
const FOR_EVER = 50 * 365 * 24 * 60 * 60 * 1000;

export function headline(status: StatusView, syncing: boolean, now: number): Headline {
  if (syncing && status.state !== "setup") return busy();
  switch (status.state) {
    case "setup":
      return setup(status);
    case "error":
      return error(status);
    case "conflict":
      return conflict(status);
    case "offline":
      return offline(status, now);
    case "paused":
      return {
        tone: "resting",
        word: "Paused",
        sentence:
          status.paused_until === null || Number(status.paused_until) > now + FOR_EVER
            ? "Sync is paused until resumed"
            : `Sync is paused until ${local(status.paused_until, now)}`,
        detail: "Writes are still captured. This node begins no sync until then, unless you press Sync now.",
        next: null,
      };
    case "syncing":
      return busy();
    case "pending":
      return pending(status);
    case "stale":
      return stale(status, now);
    case "fine":
      return {
        tone: "fine",
        word: "In step",
        sentence: "Everything is in step",
        detail: `Compared and found equal: ${verified(status, now)}.`,
        next: null,
      };
  }
}

function busy(): Headline {
  return {
    tone: "busy",
    word: "Syncing",
    sentence: "Syncing now",
    detail: "The applications go on working meanwhile.",
    next: null,
  };
}

function setup(status: StatusView): Headline {
  const nothing = status.databases.length === 0;
  return {
    tone: "setup",
    word: "Set-up needed",
    sentence: nothing ? "No database is attached yet" : "No other node is paired yet",
    detail: nothing
      ? "Attach the files of the application on this computer; a backup is written first."
      : "Make an invite on one node and give it to the other.",
    next: { screen: "setup", label: nothing ? "Choose files" : "Invite or join" },
  };
}

/** What stands in place of a status while this computer has no node. */
export function withoutNode(failure: Failure): Headline {
  return {
    tone: "setup",
    word: "Set-up needed",
    sentence: "This computer has no node yet",
    detail: sentence(failure.message),
    next: { screen: "setup", label: "Set up" },
  };
}

function error(status: StatusView): Headline {
  if (!isNone(status.values_lost) || status.values_lost_because !== null) {
    return {
      tone: "trouble",
      word: "Error",
      sentence: isNone(status.values_lost)
        ? "The balance could not be drawn"
        : `${counted(status.values_lost, "value is", "values are")} in no account`,
      detail: sentence(status.values_lost_because ?? "The balance does not add up."),
      next: { screen: "compare", label: "Verify", visit: { now: true } },
    };
  }
  const here = status.databases.find((d) => d.capture.kind === "problem");
  const there = status.peers.find((p) => p.capture.kind === "problem");
  const name = here?.name ?? there?.name ?? "";
  return {
    tone: "trouble",
    word: "Error",
    sentence: `Writes ${here ? "to" : "at"} ${name} may go unseen`,
    detail: sentence(problem(here?.capture ?? there?.capture) ?? ""),
    next: here ? { screen: "settings", label: "Tables and capture", visit: { tab: "tables" } } : null,
  };
}

function conflict(status: StatusView): Headline {
  const held = heldHere(status);
  const parts = [
    ...(isNone(status.conflicts_unreviewed)
      ? []
      : [`${counted(status.conflicts_unreviewed, "conflict")} to look at`]),
    ...(isNone(held) ? [] : [`${counted(held, "change")} held`]),
  ];
  const there = status.peers.filter((p) => !isNone(p.held)).map((p) => p.name);
  const broke = status.databases.filter((d) => d.history !== null).map((d) => d.name);
  if (parts.length === 0 && broke.length > 0) {
    return {
      tone: "waiting",
      word: "Waits for you",
      sentence: `${listed(broke)} ${broke.length === 1 ? "was" : "were"} restored or copied`,
      detail: "It catches up by itself; say what it is to mean.",
      next: null,
    };
  }
  return {
    tone: "waiting",
    word: "Waits for you",
    sentence:
      parts.length > 0
        ? parts.join(", ")
        : `${listed(there)} ${there.length === 1 ? "holds" : "hold"} changes that wait for a person`,
    detail: "Nothing is lost: both sides of each are kept, whole.",
    next: parts.length > 0 ? { screen: "conflicts", label: "Look at them" } : null,
  };
}

function offline(status: StatusView, now: number): Headline {
  const away = status.peers.filter((p) => !p.reachable);
  const waiting = pendingInAll(status);
  return {
    tone: "away",
    word: "Out of reach",
    sentence: `${listed(away.map((p) => p.name))} can't be reached`,
    detail:
      (isNone(waiting)
        ? "Nothing waits to be sent"
        : `${counted(waiting, "row")} will be sent when that changes`) +
      `; last verified: ${verified({ ...status, peers: away }, now)}.`,
    next: null,
  };
}

function pending(status: StatusView): Headline {
  const waiting = pendingInAll(status);
  return {
    tone: "moving",
    word: "On its way",
    sentence: `${counted(waiting, "row is", "rows are")} on the way`,
    detail:
      status.agent === null
        ? "No agent runs on this computer: they travel when you press Sync now."
        : "The agent sends them as soon as the other side answers.",
    next: { screen: "pending", label: "See which" },
  };
}

function stale(status: StatusView, now: number): Headline {
  const never = status.peers.filter((p) => p.last_verified_at === null);
  return {
    tone: "stale",
    word: "Not verified",
    sentence:
      never.length > 0
        ? `Not compared yet with ${listed(never.map((p) => p.name))}`
        : `Not compared for a while`,
    detail: never.length > 0 ? "Sync now to compare both sides." : `Last verified: ${verified(status, now)}.`,
    next: null,
  };
}

/** `pit-laptop 4 min ago and school just now`. */
function verified(status: StatusView, now: number): string {
  return listed(
    status.peers.map((p) =>
      p.last_verified_at === null ? `${p.name} never` : `${p.name} ${ago(p.last_verified_at, now)}`,
    ),
  );
}

/** A row that several peers lack is counted once for this node, so the databases' figure is the one to say. */
export function pendingInAll(status: StatusView): Count {
  const here = sum(status.databases.map((d) => d.pending));
  return isNone(here) ? sum(status.peers.map((p) => p.pending)) : here;
}

/** What a peer holds is mostly the other half of what is held here, so the two are not added up. */
export function heldHere(status: StatusView): Count {
  return sum(status.databases.map((d) => d.held));
}

export function problem(capture: Capture | undefined): string | null {
  return capture?.kind === "problem" ? capture.what : null;
}

export interface Badge {
  tone: Tone;
  word: string;
}

/** As the node does: whoever was last found equal longer ago than this is not called in step. */
const STALE_AFTER = 24 * 60 * 60 * 1000;

export function peerBadge(peer: PeerView, now: number): Badge {
  if (peer.capture.kind === "problem") return { tone: "trouble", word: "Capture is not well" };
  if (!peer.reachable) return { tone: "away", word: "Out of reach" };
  if (peer.error !== null) return { tone: "trouble", word: "Last sync failed" };
  if (!isNone(peer.held)) return { tone: "waiting", word: `Holds ${counted(peer.held, "change")}` };
  if (!isNone(peer.pending)) return { tone: "moving", word: `${counted(peer.pending, "row")} to send` };
  if (!isNone(peer.coming)) return { tone: "moving", word: `${counted(peer.coming, "write")} to come` };
  if (peer.last_verified_at === null) return { tone: "stale", word: "Not compared yet" };
  const passed = now - Number(peer.last_verified_at);
  if (passed > STALE_AFTER) return { tone: "stale", word: `Not compared for ${length(passed)}` };
  return { tone: "fine", word: "In step" };
}

export function databaseBadge(database: DatabaseView): Badge {
  if (database.capture.kind === "problem") return { tone: "trouble", word: "Capture is not well" };
  if (database.history !== null)
    return { tone: "waiting", word: database.history.kind === "copied" ? "Was copied" : "Was restored" };
  if (!isNone(database.held)) return { tone: "waiting", word: `${count(database.held)} held` };
  if (!isNone(database.pending))
    return { tone: "moving", word: `${counted(database.pending, "row")} to send` };
  return { tone: "fine", word: "All sent" };
}
