// The layout of a page in a real browser: how wide it is, what is cut off, what overlaps, what cannot be read.
import type { Page } from "playwright-core";

/** What is wrong with the layout of a page without scripts at each width, in words; all `details` are open. */
export async function layoutFaults(
  page: Page,
  html: string,
  { widths, scheme }: { readonly widths: readonly number[]; readonly scheme: "light" | "dark" },
): Promise<readonly string[]> {
  const faults: string[] = [];
  await page.emulateMedia({ colorScheme: scheme });
  await page.setContent(html);
  for (const width of widths) {
    await page.setViewportSize({ width, height: 800 });
    const found = (await page.evaluate(`(${look.toString()})(window)`)) as readonly string[];
    faults.push(...found.map((fault) => `at ${width} px, ${scheme}: ${fault}`));
  }
  return faults;
}

/** The part of a browser's window that {@link look} uses: Node's types know no DOM. */
interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly width: number;
  readonly height: number;
}
interface Element {
  readonly tagName: string;
  readonly textContent: string;
  readonly parentElement: Element | null;
  readonly childNodes: Iterable<{ readonly nodeType: number; readonly textContent: string }>;
  readonly scrollWidth: number;
  open?: boolean;
  getBoundingClientRect(): Box;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Element>;
  closest(selector: string): Element | null;
}
interface Window {
  readonly innerWidth: number;
  readonly document: {
    readonly documentElement: Element;
    readonly body: Element;
    querySelectorAll(selector: string): Iterable<Element>;
  };
  getComputedStyle(element: Element): Readonly<Record<string, string>>;
}

/** Runs in the page: everything it needs stands inside. */
function look(window: Window): string[] {
  const { document } = window;
  const faults: string[] = [];
  /** Smallest letters that count as readable, in pixels of the screen. */
  const LETTER_MIN = 10;
  /** WCAG 2.2, 1.4.3: contrast of text. */
  const CONTRAST_MIN = 4.5;
  const shown = (text: string): string => JSON.stringify(text.trim().slice(0, 40));
  for (const one of document.querySelectorAll("details")) one.open = true;

  const wide = document.documentElement.scrollWidth;
  if (wide > window.innerWidth) faults.push(`the page is ${wide} px wide`);

  const colour = (text: string): readonly number[] => {
    const [r = 0, g = 0, b = 0, a = 1] = (/\(([^)]*)\)/.exec(text)?.[1] ?? "0,0,0,0").split(/[ ,/]+/).map(Number);
    return [r, g, b, a];
  };
  const over = (top: readonly number[], below: readonly number[]): readonly number[] =>
    [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const ground = (element: Element | null): readonly number[] => {
    if (element === null) return [255, 255, 255];
    const own = colour(window.getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const light = (of: readonly number[]): number => {
    const [r, g, b] = of.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (text: readonly number[], below: readonly number[]): number => {
    const [a, b] = [light(over(text, below)), light(below)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const said = new Set<string>();
  const sayOnce = (kind: string, words: string): void => {
    if (said.has(kind)) return;
    said.add(kind);
    faults.push(words);
  };

  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
    const box = element.getBoundingClientRect();
    if (!own || box.width === 0) continue;
    const style = window.getComputedStyle(element);
    const isSvg = element.closest("svg") !== null;
    const ratio = contrast(colour(isSvg ? style.fill : style.color), ground(element));
    if (ratio < CONTRAST_MIN)
      sayOnce(
        `contrast ${style.color} ${style.fill}`,
        `${shown(element.textContent)} has a contrast of ${ratio.toFixed(2)}`,
      );
    const scrolls = element.closest(".rows, .box, .choices, pre") !== null;
    if (!scrolls && (box.right > window.innerWidth + 1 || box.left < -1))
      sayOnce("beside", `${shown(element.textContent)} lies beside the page`);
  }

  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const viewed = Number((svg.getAttribute("viewBox") ?? "0 0 1 1").split(" ")[2]);
    const texts = [...svg.querySelectorAll("text")].map((text) => ({ text, box: text.getBoundingClientRect() }));
    const title = shown(svg.getAttribute("aria-label") ?? "");
    for (const [i, { text, box }] of texts.entries()) {
      const size = (Number.parseFloat(window.getComputedStyle(text).fontSize) * frame.width) / viewed;
      if (size < LETTER_MIN) sayOnce("small", `letters of ${size.toFixed(1)} px in ${title}`);
      const cut = [frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom];
      if (Math.max(...cut) > 1) faults.push(`${shown(text.textContent)} is cut off in ${title}`);
      for (const other of texts.slice(i + 1)) {
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
        const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
        // Boxes of letters have room above and below.
        if (across > 1 && down > 0.4 * Math.min(box.height, other.box.height))
          faults.push(`${shown(text.textContent)} and ${shown(other.text.textContent)} overlap in ${title}`);
      }
    }
  }
  return faults;
}
