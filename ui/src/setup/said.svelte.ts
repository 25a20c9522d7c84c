// What a person says of the tables that were found, before anything is changed: suggestions that are accepted, and
// what is set by hand. A suggestion is accepted if what is said of its table agrees with it, however it came to that.
import type { Host, Inspection, Suggestion, TableConfig, TableView } from "../host/host";

type Attach = Parameters<Host["attach"]>[0];

const nameOf = ({ database, table }: { database: string; table: string }) => `${database}.${table}`;

/** What a suggestion would say: a column, and what it refers to. */
function parts({ what }: Suggestion): { column: string; target: string } {
  const [column = "", target = ""] = what.split(" = ");
  return { column, target };
}

function holds(config: TableConfig, suggestion: Suggestion): boolean {
  const { column, target } = parts(suggestion);
  switch (suggestion.kind) {
    case "identity":
      return config.identity.join(", ") === suggestion.what;
    case "reference":
      return config.references.some((one) => one.column === column && one.target === target);
    case "review":
      return config.columns.some((one) => one.column === column && one.policy === "review");
    case "modified":
      return config.modified === column;
    case "exclude":
      return config.exclude;
  }
}

/** Says it, or takes it back. */
function say(config: TableConfig, suggestion: Suggestion, on: boolean): void {
  const { column, target } = parts(suggestion);
  const others = <T extends { column: string }>(all: T[]) => all.filter((one) => one.column !== column);
  switch (suggestion.kind) {
    case "identity":
      config.identity = on ? suggestion.what.split(", ") : [];
      break;
    case "reference":
      config.references = [...others(config.references), ...(on ? [{ column, target }] : [])];
      break;
    case "review":
      config.columns = [...others(config.columns), ...(on ? [{ column, policy: "review" }] : [])];
      break;
    case "modified":
      config.modified = on ? column : null;
      break;
    case "exclude":
      config.exclude = on;
  }
}

export class Said {
  readonly #found: Inspection;
  /** By `DB.TABLE`. */
  readonly #configs = $state<Record<string, TableConfig>>({});

  constructor(found: Inspection) {
    this.#found = found;
    for (const table of found.tables) this.#configs[nameOf(table)] = structuredClone(table.config);
    for (const one of found.suggestions) if (one.advised) this.accept(one, true);
  }

  /** What is said of a table. */
  of(table: TableView): TableConfig {
    const config = this.#configs[nameOf(table)];
    if (!config) throw new Error(`${nameOf(table)} was not found`);
    return config;
  }

  set(table: TableView, config: TableConfig): void {
    this.#configs[nameOf(table)] = config;
  }

  /** Leaves it out, or no longer, whoever said so first. */
  leaveOut(table: TableView, out: boolean): void {
    this.of(table).exclude = out;
  }

  accept(suggestion: Suggestion, on: boolean): void {
    const config = this.#configs[nameOf(suggestion)];
    if (config) say(config, suggestion, on);
  }

  accepts(suggestion: Suggestion): boolean {
    const config = this.#configs[nameOf(suggestion)];
    return config !== undefined && holds(config, suggestion);
  }

  /** As the node takes it: suggestions by their ids; whole, only tables of which more is said than was suggested. */
  get ask(): Pick<Attach, "accepted" | "tables" | "left_out"> {
    const accepted = this.#found.suggestions.filter((one) => this.accepts(one));
    const tables = this.#found.tables.flatMap((table) => {
      const config = $state.snapshot(this.of(table));
      const suggested = structuredClone(table.config);
      for (const one of accepted) if (nameOf(one) === nameOf(table)) say(suggested, one, true);
      const more = JSON.stringify(config) !== JSON.stringify(suggested);
      return more && !config.exclude ? [{ database: table.database, table: table.table, config }] : [];
    });
    const suggested = accepted.filter((one) => one.kind === "exclude").map(nameOf);
    const left_out = this.#found.tables
      .filter((one) => one.synced && this.of(one).exclude && !suggested.includes(nameOf(one)))
      .map(({ database, table }) => ({ database, table }));
    return { accepted: accepted.map((one) => one.id), tables, left_out };
  }
}
