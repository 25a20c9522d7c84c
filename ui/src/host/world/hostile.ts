// The scripted world with an attack in every value and every name that a person or a row could have put there.
import type { Host } from "../host";

export const ATTACK = "<img src=x onerror=alert(1)>";

/** Fields whose text comes from rows, files or people. */
const FIELDS = new Set(
  "text key node says findings because why evidence message hint reason todo from to a b what address file backup".split(
    " ",
  ),
);

function poison(of: unknown, field = ""): unknown {
  if (typeof of === "string") return FIELDS.has(field) ? `${ATTACK} ${of}` : of;
  if (Array.isArray(of))
    return of.map((one) => (field === "columns" ? poison(one, "text") : poison(one, field)));
  if (typeof of !== "object" || of === null) return of;
  if ("type" in of && "masked" in of) return { ...of, type: "text", masked: false, text: ATTACK };
  return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, poison(value, name)]));
}

/** That host, with all that it answers poisoned. */
export function hostile(host: Host): Host {
  const poisoned = Object.entries(host).map(([name, call]) => {
    if (name === "listen") return [name, call];
    const answer = async (ask: never) => poison(await (call as (ask: never) => Promise<unknown>)(ask));
    return [name, answer];
  });
  return Object.fromEntries(poisoned) as Host;
}
