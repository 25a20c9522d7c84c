// The keys, in one table: what each does, and who listens. No single key destroys: what decides or writes asks first.
import { tinykeys } from "tinykeys";

export type Action = "next" | "previous" | "filter" | "keepA" | "keepB" | "merge" | "undo";
type Acts = Partial<Record<Action, () => void>>;

const listeners: Acts[] = [];

/** Listens until the returned is called; who came last is asked first. */
export function onKeys(acts: Acts): () => void {
  listeners.push(acts);
  return () => void listeners.splice(listeners.indexOf(acts), 1);
}

function press(action: Action): boolean {
  const listener = listeners.findLast((acts) => acts[action]);
  listener?.[action]?.();
  return listener !== undefined;
}

const LETTERS: [string, Action][] = [
  ["j", "next"],
  ["k", "previous"],
  ["/", "filter"],
  ["Shift+/", "filter"],
  ["1", "keepA"],
  ["2", "keepB"],
  ["3", "merge"],
  ["u", "undo"],
];

function isTyping(event: KeyboardEvent): boolean {
  const at = event.target;
  if (!(at instanceof HTMLElement)) return false;
  if (at instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(at.type);
  return at instanceof HTMLTextAreaElement || at instanceof HTMLSelectElement || at.isContentEditable;
}

/** A dialog or a menu is open: it has the keys. */
function isElsewhere(): boolean {
  return document.querySelector("dialog[open], [role=menu]") !== null;
}

/** Binds all keys of the window. `global` work while typing too; `help` and the letters don't. */
export function bindKeys(global: Record<string, () => void>, help: () => void): () => void {
  const bindings: Record<string, (event: KeyboardEvent) => void> = {};
  for (const [key, act] of Object.entries(global)) {
    bindings[key] = (event) => {
      event.preventDefault();
      if (!isElsewhere()) act();
    };
  }
  const letter = (act: () => boolean) => (event: KeyboardEvent) => {
    if (!isTyping(event) && !isElsewhere() && act()) event.preventDefault();
  };
  for (const [key, action] of LETTERS) bindings[key] = letter(() => press(action));
  for (const key of ["?", "Shift+?"]) bindings[key] = letter(() => (help(), true));
  return tinykeys(window, bindings);
}

/** For the list of keys. */
export const KEYS: [string, string][] = [
  ["F9", "Sync now"],
  ["F5", "Compare"],
  ["Ctrl 1 … 8", "The screens"],
  ["/", "Filter"],
  ["J, K", "Next and previous row"],
  ["1, 2, 3", "Keep A, keep B, merge (asks before it writes)"],
  ["U", "Undo a decision (asks first)"],
  ["Space", "Choose the row"],
  ["Ctrl +, Ctrl -", "Larger and smaller text"],
  ["Ctrl 0", "Usual text size"],
  ["Ctrl Q", "Quit: ends the sync in the background, too"],
  ["Esc", "Close what is open"],
  ["?", "This list"],
];
