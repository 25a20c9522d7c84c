// The kinds of conflicts and the reasons of what is held, in a person's words.
import type { ConflictKind, HoldReason } from "../host/host";

export const KINDS: Record<ConflictKind, string> = {
  update_update: "Both changed it",
  update_delete: "Changed and deleted",
  delete_update: "Deleted and changed",
  insert_insert: "Both made it",
  unique: "Same unique key",
  missing_parent: "Parent is missing",
  parent_deleted: "Parent was deleted",
  constraint: "Breaks a CHECK",
  table_missing: "Table is missing",
  column_missing: "Column is missing",
  config_differs: "Settings differ",
  clock: "Clock far ahead",
  id_collision: "Same id, two rows",
  difference: "Sides differ",
  delete_guard: "Very many deletes",
  review: "Put aside",
};

export const REASONS: Record<HoldReason, string> = {
  review: "Under review",
  guard: "Delete guard",
  unique: "Same unique key",
  identity: "Which row it is",
  missing_parent: "Parent is missing",
  parent_deleted: "Parent was deleted",
  constraint: "Breaks a CHECK",
  table_missing: "Table is missing",
  column_missing: "Column is missing",
  config_differs: "Settings differ",
  clock: "Clock far ahead",
  difference: "Sides differ",
};
