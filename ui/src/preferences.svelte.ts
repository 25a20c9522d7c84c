// How the page looks to this person on this computer. Nothing else is kept in the page's storage.

export type Theme = "system" | "light" | "dark";
export const THEMES: Theme[] = ["system", "light", "dark"];
/** Text sizes in percent. */
export const TEXT_SIZES = [100, 125, 150, 175, 200] as const;
export type TextSize = (typeof TEXT_SIZES)[number];

class Preferences {
  theme = $state<Theme>(kept("theme", THEMES, "system"));
  text = $state<TextSize>(kept("text", TEXT_SIZES, 100));
  utc = $state<boolean>(localStorage.getItem("lockstep.utc") === "yes");
  /** What the desktop says; null: the browser is asked. Not kept. */
  desktopIsDark = $state<boolean | null>(null);

  /** Shows it and keeps it. To be called in an effect. */
  apply(): void {
    const root = document.documentElement.dataset;
    const desktop = this.desktopIsDark === null ? "system" : this.desktopIsDark ? "dark" : "light";
    root.theme = this.theme === "system" ? desktop : this.theme;
    root.text = String(this.text);
    localStorage.setItem("lockstep.theme", this.theme);
    localStorage.setItem("lockstep.text", String(this.text));
    localStorage.setItem("lockstep.utc", this.utc ? "yes" : "no");
  }

  /** One step larger (+1) or smaller (-1). */
  resize(step: 1 | -1): void {
    const at = TEXT_SIZES.indexOf(this.text) + step;
    this.text = TEXT_SIZES[Math.max(0, Math.min(TEXT_SIZES.length - 1, at))] ?? 100;
  }
}

function kept<T extends string | number>(key: string, allowed: readonly T[], otherwise: T): T {
  const found = localStorage.getItem(`lockstep.${key}`);
  return allowed.find((one) => String(one) === found) ?? otherwise;
}

export const preferences = new Preferences();
