// Shapes that cross between the page and the node and that Rust does not write into types.ts yet.
import type { Count, Millis, RowName, RunEnd } from "./types";

/** Which part of a list; `limit` is at most 200. */
export interface Span {
  offset: number;
  limit: number;
}

/** Whether values of columns that look secret come too. Only when a person asked for it. */
export interface CellReveal {
  reveal: boolean;
}

// ---- Overview ------------------------------------------------------------------------------------------------

/** Where every value is that was ever written or received. */
export interface Balance {
  visible: Count;
  superseded: Count;
  archived: Count;
  deleted: Count;
  held: Count;
  /** All that was written or received, counted apart from the accounts. */
  total: Count;
}

export interface DatabaseBalance {
  database: string;
  balance: Balance;
}

/** The evidence behind "Values lost". */
export interface BalanceView {
  at: Millis;
  databases: DatabaseBalance[];
  lost: Count;
  /** Why `lost` is not zero, or why it could not be counted. */
  because: string | null;
}

// ---- Runs ----------------------------------------------------------------------------------------------------

export interface RunFilter {
  peer: string | null;
  /** `2026-03-14`, local to this computer. */
  day: string | null;
  result: RunEnd | null;
}

// ---- Compare -------------------------------------------------------------------------------------------------

export interface TableDigest {
  rows: Count;
  digest: string;
}

export interface ComparedTable {
  database: string;
  table: string;
  here: TableDigest | null;
  there: TableDigest | null;
  /** `moving`: written to while it was compared. `mismatch`: the schemas differ. `not_shared`: nothing to compare. */
  state: "equal" | "different" | "moving" | "mismatch" | "not_shared";
  /** One sentence, for all but `equal`. */
  because: string | null;
  only_here: Count;
  only_there: Count;
  different: Count;
}

export interface CompareView {
  peer: string;
  at: Millis;
  equal: boolean;
  tables: ComparedTable[];
}

export type Difference = "only_here" | "only_there" | "different";

export interface ComparedRow {
  /** The row's name here; where it is only there, by its key there. */
  row: RowName;
  /** Its key there, where it has another. */
  key_there: string | null;
  columns: string[];
}
