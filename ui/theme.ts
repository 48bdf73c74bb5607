// Light or dark: what the system prefers, until somebody switches.

export type Theme = "light" | "dark";
const KEPT_AT = "sentinel.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

export function themeNow(): Theme {
  const kept = localStorage.getItem(KEPT_AT);
  if (kept === "light" || kept === "dark") return kept;
  return dark.matches ? "dark" : "light";
}

export function switchTheme(): void {
  const next = themeNow() === "dark" ? "light" : "dark";
  const isSystem = (next === "dark") === dark.matches;
  if (isSystem) localStorage.removeItem(KEPT_AT);
  else localStorage.setItem(KEPT_AT, next);
  show();
}

export function startTheme(): void {
  dark.addEventListener("change", show);
  show();
}

/** Who draws on a canvas hears of a change, because a canvas knows no variables. */
export function onTheme(listen: () => void): () => void {
  listeners.add(listen);
  return () => listeners.delete(listen);
}

function show(): void {
  document.documentElement.dataset.theme = themeNow();
  for (const listen of listeners) listen();
}

/** The value of a colour of the theme. */
export function colorOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
