// Who expressed what, and when: estimates sorted into people and lanes.
import { MODALITIES, NAMES, personName } from "./format.js";
import { COLOURS, REASONS } from "./vocabulary.js";

/** The most probable label of a distribution. */
export const top = (p) => Object.keys(p).reduce((best, label) => (p[label] > p[best] ? label : best));

/** The first of ordered cells that ends after t; their number if none does. */
export function firstAfter(cells, t) {
  let low = 0, high = cells.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cells[middle].end > t) high = middle; else low = middle + 1;
  }
  return low;
}

/** The cell that holds at t, or null. */
export function at(cells, t) {
  const cell = cells[firstAfter(cells, t)];
  return cell && cell.start <= t ? cell : null;
}

/** Canonical labels first, then whatever else occurs. */
export function ordered(labels) {
  const known = Object.keys(COLOURS).filter((label) => labels.has(label));
  return [...known, ...[...labels].filter((label) => !Object.hasOwn(COLOURS, label))];
}

/** Files name the reason; live messages bring its sentence, too. */
function doubt(given) {
  if (!given) return null;
  const reason = given.reason ?? given;
  return { reason, message: given.message ?? REASONS[reason] ?? reason };
}

/** Why an estimate is uncertain; a contradiction names both sides, as `Estimate.doubt` does in Python. */
function why(e) {
  const found = doubt(e.uncertain);
  if (found?.reason !== "contradiction" || !e.fusion?.probabilities || e.uncertain.message) return found;
  const said = Object.entries(parts(e)).map(([modality, { label }]) => `${NAMES[modality] ?? modality} ${label}`);
  return { ...found, message: `${found.message.replace(/\.$/, "")}: ${said.join(", ")}.` };
}

export function cellOf(e) {
  return {
    start: e.start, end: e.end, label: e.label, confidence: e.confidence, quality: e.quality, p: e.probabilities,
    uncertain: why(e), shares: e.fusion?.weights ?? {}, disagreement: e.fusion?.disagreement ?? null,
    hand: Boolean(e.hand), found: e.machine?.label ?? null, text: e.details?.text ?? null, box: e.details?.box ?? null, affect: e.affect ?? null, dispersion: e.details?.dispersion ?? null,
  };
}

/** What each modality said in a fused estimate: files and live messages write it a little differently. */
export function parts(e) {
  return Object.fromEntries(Object.entries(e.fusion?.probabilities ?? {}).map(([modality, score]) => {
    const p = score.probabilities ?? score, label = top(p);
    return [modality, { start: e.start, end: e.end, label, confidence: p[label], p, uncertain: null }];
  }));
}

class Person {
  constructor(subject) {
    this.subject = subject;
    this.name = personName(subject);
    this.face = subject.startsWith("face") || subject.startsWith("person");
    /** modality → cells in order of time; the modalities' are what went into the result. */
    this.lanes = Object.fromEntries(["fused", ...MODALITIES].map((m) => [m, []]));
    /** modality → what its model said by itself, which may be finer or coarser than the result. */
    this.said = Object.fromEntries(MODALITIES.map((m) => [m, []]));
  }

  add(e) {
    const cell = cellOf(e);
    if (e.modality !== "fused") {
      insert(this.said[e.modality], cell);
      return;
    }
    insert(this.lanes.fused, cell);
    for (const [modality, part] of Object.entries(parts(e))) insert(this.lanes[modality], part);
  }

  /** The lanes that hold anything. Where nothing was fused, what the models said by themselves. */
  get bands() {
    if (this.lanes.fused.length) return ["fused", ...MODALITIES.filter((m) => this.lanes[m].length)];
    return MODALITIES.filter((m) => this.said[m].length);
  }

  band(key) {
    return this.lanes.fused.length ? this.lanes[key] : (this.said[key] ?? []);
  }

  /** Where the face is at t: boxes hold for a stretch and are moved evenly between the middles. */
  boxAt(t) {
    const cells = this.said.face;
    const i = firstAfter(cells, t), here = cells[i];
    if (!here?.box || here.start > t) return null;
    const middle = (here.start + here.end) / 2;
    const other = cells[t < middle ? i - 1 : i + 1];
    if (!other?.box || Math.min(Math.abs(other.start - here.end), Math.abs(here.start - other.end)) > 0.05) return here.box;
    const far = (other.start + other.end) / 2;
    const part = (t - middle) / (far - middle);
    return here.box.map((v, k) => v + (other.box[k] - v) * part);
  }
}

function insert(cells, cell) {
  let i = cells.length;
  while (i && cells[i - 1].start > cell.start) i--;
  cells.splice(i, 0, cell);
}

/** Everybody that estimates speak of; grows estimate by estimate. */
export class People {
  constructor(estimates = []) {
    this.all = new Map();
    this.labels = new Set();
    for (const e of estimates) this.add(e);
  }

  add(e) {
    if (!this.all.has(e.subject)) this.all.set(e.subject, new Person(e.subject));
    this.all.get(e.subject).add(e);
    for (const label of Object.keys(e.probabilities)) this.labels.add(label);
  }

  get(subject) { return this.all.get(subject); }

  /** Those with results of their own, faces first by number. A voice that went into a face's results has none. */
  get list() {
    const shown = [...this.all.values()].filter((p) => p.lanes.fused.length);
    const people = shown.length ? shown : [...this.all.values()];
    const rank = (p) => (p.face ? (p.subject.startsWith("face") ? 1e4 : 0) : p.subject.startsWith("group") ? -1e6 : 1e6) + Number(p.subject.split("-")[1]);
    return people.sort((a, b) => rank(a) - rank(b));
  }

  /** Those of a summary, in its order and by its names. */
  named(summary) {
    return summary.people.map(({ subject, name }) => Object.assign(this.all.get(subject), { name }));
  }

  get faces() { return [...this.all.values()].filter((p) => p.said.face.length); }

  /** All sentences, in order of time. */
  get sentences() {
    return [...this.all.values()].flatMap((p) => p.said.text.filter((cell) => cell.text).map((cell) => ({ ...cell, who: p })))
      .sort((a, b) => a.start - b.start);
  }
}
