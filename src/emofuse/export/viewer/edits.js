// What was corrected by hand, applied to estimates: the same as annotations/apply.py does, but for fusing
// anew the slots of people who are merged. A test compares.
import { clock, personName, plural } from "./format.js";

const TOGETHER = 1; // seconds for which two faces may be seen at once and still be one person

/** The edits that hold: neither undone nor undoings. */
export function active(edits) {
  const undone = new Set();
  for (const edit of [...edits].reverse()) if (edit.kind === "undo" && !undone.has(edit.id)) undone.add(edit.of);
  return edits.filter((edit) => edit.kind !== "undo" && !undone.has(edit.id));
}

/** The edit that undo takes back, and the undoing that redo takes back; undefined if there is none. */
export function history(edits) {
  const holding = active(edits), undone = new Set(edits.filter((e) => e.kind === "undo").map((e) => e.of));
  const live = edits.filter((e) => e.kind === "undo" && !undone.has(e.id));
  const last = edits.findLastIndex((e) => e.kind !== "undo");
  const redo = live.findLast((e) => edits.indexOf(e) > last && edits.find((o) => o.id === e.of)?.kind !== "undo");
  return { undo: holding.at(-1), redo };
}

class Refusal extends Error {}
const refuse = (message) => { throw new Refusal(message); };

const middle = (e) => (e.start + e.end) / 2;
function within(e, { start, end }) {
  const m = middle(e);
  return (start <= m && m < end) || (start === end && m === start);
}

/** A label set by hand: surely that; what was found is in `machine`. */
function labelled(e, label) {
  if (!Object.hasOwn(e.probabilities, label)) refuse(`expected one of the labels ${Object.keys(e.probabilities).join(", ")}, got “${label}”`);
  const probabilities = Object.fromEntries(Object.keys(e.probabilities).map((key) => [key, key === label ? 1 : 0]));
  return { ...e, label, probabilities, confidence: 1, uncertain: null, hand: true, machine: e.machine ?? e };
}

const givenTo = (e, subject) => ({ ...e, subject, machine: e.machine ?? e });

/** People by subject, each with lanes by modality, in order of their middles. */
class Draft {
  constructor(estimates, modalities) {
    this.people = new Map();
    for (const e of estimates) {
      if (!this.people.has(e.subject)) this.people.set(e.subject, new Map());
      const lanes = this.people.get(e.subject);
      if (!lanes.has(e.modality)) lanes.set(e.modality, []);
      lanes.get(e.modality).push(e);
    }
    for (const lanes of this.people.values()) for (const lane of lanes.values()) lane.sort((a, b) => middle(a) - middle(b));
    this.order = estimates.some((e) => e.modality === "fused") ? ["fused"] : modalities;
    this.names = {};
    this.remarks = [];
  }

  known(subject) {
    if (!this.people.has(subject)) refuse(`there is no ${subject}`);
    return this.people.get(subject);
  }

  called(subject) { return this.names[subject] ?? personName(subject); }

  name({ subject, name }) {
    this.known(subject);
    if (name) this.names[subject] = name; else delete this.names[subject];
  }

  merge({ subject, into }) {
    const [from, to] = [this.known(subject), this.known(into)];
    if (subject === into || [subject, into].some((s) => s.startsWith("group"))) refuse("choose two different people");
    const seen = new Map((from.get("face") ?? []).map((e) => [e.start, e]));
    const both = (to.get("face") ?? []).filter((e) => seen.get(e.start)?.end === e.end);
    if (both.reduce((sum, e) => sum + e.end - e.start, 0) > TOGETHER + 1e-6) {
      refuse(`${this.called(subject)} and ${this.called(into)} are both seen at ${clock(both[0].start, 1)}, so they are two people; split one of them first if only a part of it is the other`);
    }
    for (const [modality, lane] of from) to.set(modality, oneEach([...(to.get(modality) ?? []), ...lane.map((e) => givenTo(e, into))]));
    this.people.delete(subject);
    if (subject in this.names) this.names[into] ??= this.names[subject];
    delete this.names[subject];
  }

  split({ subject, at, into }) {
    const lanes = this.known(subject);
    if (this.people.has(into) || into.split("-")[0] !== subject.split("-")[0]) refuse(`${into} is somebody already`);
    const early = new Map(), late = new Map();
    for (const [modality, lane] of lanes) {
      const cut = lane.findIndex((e) => middle(e) >= at), n = cut < 0 ? lane.length : cut;
      if (n) early.set(modality, lane.slice(0, n));
      if (n < lane.length) late.set(modality, lane.slice(n).map((e) => givenTo(e, into)));
    }
    if (!early.size || !late.size) refuse(`${this.called(subject)} is not there both before and after ${clock(at, 1)}, so there is nothing to split`);
    this.people.set(subject, early);
    this.people.set(into, late);
  }

  label(edit) { this.relabel(edit, (e) => labelled(e, edit.label)); }
  confirm(edit) { this.relabel(edit, (e) => labelled(e, e.label)); }

  relabel(edit, change) {
    const lanes = this.known(edit.subject), lane = lanes.get(this.order.find((m) => lanes.has(m))) ?? [];
    const chosen = lane.map((e, i) => [e, i]).filter(([e]) => within(e, edit)).map(([e, i]) => [change(e), i]);
    if (!chosen.length) refuse(`${this.called(edit.subject)} has no result from ${clock(edit.start, 1)} to ${clock(edit.end, 1)}`);
    for (const [e, i] of chosen) lane[i] = e;
  }

  exclude(edit) {
    const chosen = edit.subject ? [this.known(edit.subject)] : [...this.people.values()];
    for (const lanes of chosen) for (const [modality, lane] of lanes) lanes.set(modality, lane.filter((e) => !within(e, edit)));
    this.remarks.push({ kind: "excluded", start: edit.start, end: edit.end, text: "", subject: edit.subject ?? null });
  }

  mark({ at, text }) { this.remarks.push({ kind: "mark", start: at, end: at, text: text ?? "", subject: null }); }

  note({ start, end, text, subject }) {
    if (subject) this.known(subject);
    this.remarks.push({ kind: "note", start, end, text, subject: subject ?? null });
  }
}

function oneEach(estimates) {
  const best = new Map();
  for (const e of estimates) {
    const key = `${e.start}/${e.end}`, held = best.get(key);
    const better = !held || (Boolean(e.hand) === Boolean(held.hand) ? e.quality > held.quality : e.hand);
    if (better) best.set(key, e);
  }
  return [...best.values()].sort((a, b) => middle(a) - middle(b));
}

/** Estimates with the edits that hold: {estimates, names, remarks, skipped}; `skipped` has [edit, why] of those that cannot be done. */
export function applyEdits(estimates, edits, modalities) {
  const draft = new Draft(estimates, modalities), skipped = [];
  for (const edit of active(edits)) {
    try { draft[edit.kind](edit); } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      skipped.push([edit, error.message]);
    }
  }
  const out = [...draft.people.values()].flatMap((lanes) => [...lanes.values()].flat()).sort((a, b) => a.start - b.start);
  const names = Object.fromEntries(Object.entries(draft.names).filter(([subject]) => draft.people.has(subject)));
  return { estimates: out, names, remarks: draft.remarks.sort((a, b) => a.start - b.start || a.end - b.end), skipped, subjects: [...draft.people.keys()] };
}

/** How far hand and machine agree on the slots that a hand labelled: {slots, same, kappa}; kappa is null where chance explains all. */
export function agreement(estimates) {
  const pairs = estimates.filter((e) => e.hand && !e.machine.uncertain).map((e) => [e.label, e.machine.label]);
  const count = (label, i) => pairs.filter((pair) => pair[i] === label).length / pairs.length;
  const same = pairs.filter(([a, b]) => a === b).length, labels = new Set(pairs.flat());
  const chance = [...labels].reduce((sum, label) => sum + count(label, 0) * count(label, 1), 0);
  return { slots: pairs.length, same, kappa: pairs.length && chance < 1 - 1e-12 ? (same / pairs.length - chance) / (1 - chance) : null };
}

/** An edit in words. */
export function inWords(edit, called) {
  const who = edit.subject ? called(edit.subject) : "all", stretch = "start" in edit ? `${clock(edit.start, 1)} – ${clock(edit.end, 1)}` : "";
  return {
    name: () => (edit.name ? `${who} is called “${edit.name}”` : `${who} has no name`),
    merge: () => `${who} is ${called(edit.into)}`,
    split: () => `${who} is somebody else from ${clock(edit.at, 1)} on`,
    label: () => `${who} is ${edit.label}, ${stretch}`,
    confirm: () => `${who} is right as it is, ${stretch}`,
    exclude: () => `left out: ${who}, ${stretch}`,
    mark: () => `mark at ${clock(edit.at, 1)}${edit.text ? `: ${edit.text}` : ""}`,
    note: () => `note, ${stretch}: ${edit.text}`,
  }[edit.kind]();
}

export function newEdit(author, change) {
  const id = [...crypto.getRandomValues(new Uint8Array(8))].map((b) => b.toString(16).padStart(2, "0")).join("");
  return { id, author, time: new Date().toISOString().replace(/\.\d+Z$/, "Z"), ...change };
}

export const countOf = (edits) => plural(active(edits).length, "edit");
