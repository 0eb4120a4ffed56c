// Colours of labels, and what follows from them: the same in every picture of the page.
import { COLOURS, MOODS, SPARE } from "./vocabulary.js";

export const INK = "#101215", PAPER = "#ffffff";
/** How much of the paper shows through a label's colour at confidence 0. */
export const PALEST = 0.75;

const spare = new Map();
export function colourOf(label) {
  if (Object.hasOwn(COLOURS, label)) return COLOURS[label];
  if (Object.hasOwn(MOODS, label)) return MOODS[label];
  if (!spare.has(label)) spare.set(label, SPARE[spare.size % SPARE.length]);
  return spare.get(label);
}

const cache = new Map();
/** Red, green, blue of #rrggbb or rgb(…). */
export function rgb(colour) {
  if (!cache.has(colour)) {
    cache.set(colour, colour.startsWith("#")
      ? [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16))
      : colour.match(/[\d.]+/g).slice(0, 3).map(Number));
  }
  return cache.get(colour);
}

/** The first colour with a part t of the second. */
export function mix(a, b, t) {
  const [from, to] = [rgb(a), rgb(b)];
  return `rgb(${from.map((v, i) => Math.round(v + (to[i] - v) * t)).join(",")})`;
}

/** Relative luminance (WCAG 2). */
function luminance(colour) {
  const [r, g, b] = rgb(colour).map((v) => (v <= 10 ? v / 3294 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** How well one colour is read on another, 1 … 21. */
export function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

/** Dark letters on light colours, white ones on dark ones: whichever is read better on the worst of them. */
export function inkOn(...colours) {
  const worst = (ink) => Math.min(...colours.map((colour) => contrast(ink, colour)));
  return worst(INK) >= worst(PAPER) ? INK : PAPER;
}

export const paler = (label, confidence, paper) => mix(colourOf(label), paper, PALEST * (1 - confidence));

/** The page's own colours in the present theme. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["page", "card", "ink", "soft", "line", "grid", "empty", "link", "warn"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
