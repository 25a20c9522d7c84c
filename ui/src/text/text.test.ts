import { describe, expect, test } from "vitest";
import { count, counted, listed, sentence, sum } from "./count";
import { ago, clock, length, took, utc } from "./time";

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe("counts", () => {
  test.each([
    ["0", "0"],
    ["1234567", "1,234,567"],
    ["9007199254740993", "9,007,199,254,740,993"],
    ["9223372036854775807", "9,223,372,036,854,775,807"],
  ])("%s is shown with every digit", (given, shown) => expect(count(given)).toBe(shown));

  test("sums don't lose digits", () => {
    expect(sum(["9007199254740993", "1", "1"])).toBe("9007199254740995");
    expect(sum([])).toBe("0");
  });

  test("nouns follow the number", () => {
    expect(counted("1", "row")).toBe("1 row");
    expect(counted("2", "row is", "rows are")).toBe("2 rows are");
  });

  test("messages become sentences", () => {
    expect(sentence("there is no node")).toBe("There is no node.");
    expect(sentence("pit-laptop did not answer")).toBe("pit-laptop did not answer.");
    expect(sentence("It passes by itself.")).toBe("It passes by itself.");
  });

  test("names are listed as people do", () => {
    expect(listed(["a"])).toBe("a");
    expect(listed(["a", "b", "c"])).toBe("a, b and c");
  });
});

describe("times", () => {
  test.each([
    [400, "less than a second"],
    [59_999, "59 s"],
    [MINUTE, "1 min"],
    [47 * HOUR, "47 h"],
    [48 * HOUR, "2 days"],
  ])("%d ms is %s", (ms, said) => expect(length(ms)).toBe(said));

  test("an age in the future is now", () => expect(ago(String(NOW + HOUR), NOW)).toBe("just now"));
  test("an age is rounded down", () => expect(ago(String(NOW - 119_000), NOW)).toBe("1 min ago"));
  test("short runs have a decimal", () => expect(took("840")).toBe("0.8 s"));
  test("UTC is whole", () => expect(utc("1773480413000")).toBe("2026-03-14 09:26:53 UTC"));

  test.each([
    [null, "not known yet"],
    ["140", "same as here"],
    ["-95000", "1 min behind"],
    ["7200000", "2 h ahead"],
  ])("a clock that is %s ms off is %s", (offset, said) => expect(clock(offset)).toBe(said));
});
