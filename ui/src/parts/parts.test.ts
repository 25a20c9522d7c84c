import { render, screen } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { describe, expect, test } from "vitest";
import type { Page, Span } from "../host/host";
import { blob, integer, nothing, row, secret, text } from "../host/world/make";
import { percent, reliability } from "../overview/reliability";
import { asTypedJson } from "./copy";
import { Rows } from "./rows.svelte";
import Value from "./Value.svelte";

describe("a copied row", () => {
  test("keeps every digit and every type, and hides what is hidden", () => {
    const columns = [
      { column: "big", value: integer("9223372036854775807") },
      { column: "name", value: text('a "quoted" <b>') },
      { column: "photo", value: blob("89504e47", 2048) },
      { column: "none", value: nothing },
      { column: "token", value: secret("s3cret", false) },
      { column: "absent", value: null },
    ];
    expect(JSON.parse(asTypedJson(row("team", "[1,2]"), columns))).toEqual({
      table: "scouting.team",
      key: [1, 2],
      columns: {
        big: { integer: "9223372036854775807" },
        name: { text: 'a "quoted" <b>' },
        photo: { blob: "89504e47", cut_from_bytes: "2048" },
        none: null,
        token: { hidden: true },
      },
    });
  });
});

describe("a long value", () => {
  test("shows its beginning, and the rest when a person asks", async () => {
    const cell = { ...text("x".repeat(4000)), bytes: "10000", cut: true };
    render(Value, { cell });
    expect(screen.getByText(`${"x".repeat(300)}…`)).toBeVisible();
    expect(screen.getByText("10,000 bytes in all")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Show more" }));
    expect(screen.getByText(`${"x".repeat(4000)}…`)).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Show less" }));
    expect(screen.getByText(`${"x".repeat(300)}…`)).toBeVisible();
  });
});

describe("a long list", () => {
  const asked: Span[] = [];
  const read = async (span: Span): Promise<Page<number>> => {
    asked.push(span);
    return { items: Array.from({ length: span.limit }, (_, n) => span.offset + n), total: "1000000" };
  };

  test("is read in parts of at most 200 as they come into view, and few are kept", async () => {
    const rows = new Rows(read);
    await rows.reload();
    for (let first = 0; first < 10_000; first += 100) {
      rows.need(first, first + 120);
      await Promise.resolve();
      await new Promise((done) => setTimeout(done));
      expect(rows.row(first + 120)).toBe(first + 120);
    }
    expect(Math.max(...asked.map((span) => span.limit))).toBeLessThanOrEqual(200);
    const kept = Array.from({ length: 101 }, (_, part) => rows.row(part * 100)).filter(
      (one) => one !== undefined,
    );
    expect(kept.length).toBeLessThan(30);
  });

  test("an answer that was overtaken is not shown", async () => {
    const answers: ((page: Page<string>) => void)[] = [];
    const rows = new Rows<string>(() => new Promise((answer) => answers.push(answer)));
    const first = rows.reload();
    const second = rows.reload();
    answers[1]!({ items: ["new"], total: "1" });
    answers[0]!({ items: ["old", "old"], total: "2" });
    await Promise.all([first, second]);
    expect([rows.total, rows.row(0)]).toEqual([1, "new"]);
  });
});

describe("reliability", () => {
  test("only verified runs are a success, and 100 % is all of them", () => {
    expect(percent(9999n, 10000n)).toBe("99.9 %");
    expect(percent(10000n, 10000n)).toBe("100 %");
    const rate = { peer: "a", day: "2026-03-13", failed: "0", rows: "5", duration_ms: "10" };
    const [one] = reliability(
      ["a"],
      [{ ...rate, runs: "4", verified: "3" }],
      3,
      new Date("2026-03-14T10:00:00").getTime(),
    );
    expect(one?.share).toBe("75.0 %");
    expect(one?.days.map((day) => [day.day, day.verified])).toEqual([
      ["2026-03-12", null],
      ["2026-03-13", 0.75],
      ["2026-03-14", null],
    ]);
  });
});
