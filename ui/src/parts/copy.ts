// A row as typed JSON, for the clipboard: `{"table":"scouting.match","key":27,"columns":{"red_score":{"integer":"94"}}}`.
// Integers stay text, so that no digit is lost; what is hidden stays hidden; what was cut says so.
import type { Cell, RowName } from "../host/host";

function typed(cell: Cell): object | null {
  if (cell.masked) return { hidden: true };
  if (cell.type === "null") return null;
  return { [cell.type]: cell.text, ...(cell.cut ? { cut_from_bytes: cell.bytes } : {}) };
}

/** The row's key as the command takes it. */
function key(text: string | null): unknown {
  if (text === null) return null;
  return text.startsWith("[") ? JSON.parse(text) : text;
}

/** A column and its value; null: the row has none here. */
export interface Column {
  column: string;
  value: Cell | null;
}

export function asTypedJson(row: RowName, columns: Column[]): string {
  const values = columns.flatMap(({ column, value }) => (value === null ? [] : [[column, typed(value)]]));
  const whole = {
    table: `${row.database}.${row.table}`,
    key: key(row.key),
    columns: Object.fromEntries(values),
  };
  return JSON.stringify(whole, null, 2);
}

/** Puts text on the clipboard; returns whether it got there. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
