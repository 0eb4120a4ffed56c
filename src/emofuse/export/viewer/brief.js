// A person in short, as export/summary.py has it, of cells that may have been edited. A test compares.
import { clock, percent } from "./format.js";

const MOMENTS = 4;

/** Stretches of one certain label: [{label, start, end, weight}]. */
function runsOf(cells) {
  const runs = [];
  for (const { label, start, end, confidence, uncertain } of cells) {
    if (uncertain) continue;
    const last = runs.at(-1);
    if (last && last.label === label && start <= last.end + 1e-6) {
      const [old, now] = [last.end - last.start || 1e-9, end - start || 1e-9];
      last.confidence = (last.confidence * old + confidence * now) / (old + now);
      last.end = Math.max(last.end, end);
    } else runs.push({ label, start, end, confidence });
  }
  return runs;
}

/** Runs of one label at most a second apart are one moment to a reader. */
function bridged(runs) {
  const out = [], latest = new Map();
  for (const run of runs) {
    const last = latest.get(run.label);
    if (last && run.start - last.end <= 1 + 1e-6) { last.end = run.end; last.confidence = run.confidence; continue; }
    const copy = { ...run };
    latest.set(run.label, copy);
    out.push(copy);
  }
  return out;
}

/** The nearest whole number; of two the even one, as in Python. */
function nearest(t) {
  const near = Math.round(t);
  return near - t === 0.5 && near % 2 ? near - 1 : near;
}

function spanOf({ start, end }) {
  const [from, to] = [clock(nearest(start)), clock(nearest(end))];
  return from === to ? from : `${from}–${to}`;
}

/** {says, facts, shares, uncertain} of a person's cells. */
export function brief(cells, duration) {
  const length = (cell) => cell.end - cell.start, total = cells.reduce((sum, cell) => sum + length(cell), 0) || 1;
  const add = (sums, key, v) => { sums[key] = (sums[key] ?? 0) + v; }, sums = {};
  let uncertain = 0, sure = 0, weighted = 0, quality = 0, hand = 0, present = 0, upto = 0;
  const all = cells.every((cell) => cell.hand);
  for (const cell of cells) {
    const part = length(cell) / total;
    if (cell.uncertain) uncertain += part; else add(sums, cell.label, part);
    if (all || !cell.hand) { sure += part; weighted += part * cell.confidence; }
    if (cell.hand) hand += part;
    quality += part * cell.quality;
    present += Math.max(0, cell.end - Math.max(cell.start, upto));
    upto = Math.max(upto, cell.end);
  }
  const shares = Object.fromEntries(Object.entries(sums).sort((a, b) => b[1] - a[1]));
  const label = Object.keys(shares)[0] ?? "uncertain", share = nearest(100 * (shares[label] ?? uncertain));
  const often = share >= 50 ? "mostly" : 100 * uncertain <= share ? "most often" : "sometimes";
  const others = bridged(runsOf(cells).filter((run) => run.label !== label))
    .sort((a, b) => (b.end - b.start) * b.confidence - (a.end - a.start) * a.confidence).slice(0, MOMENTS).sort((a, b) => a.start - b.start || a.end - b.end);
  const says = [share === 100 ? `${label} throughout` : `${often} ${label} (${share} %)`, ...others.map((run) => `${run.label} ${spanOf(run)}`)].join(", ");
  const facts = cells.length ? [`there for ${clock(present)} of ${clock(duration)}`, ...(all ? [] : [`mean confidence ${percent(weighted / (sure || 1))}`]), `evidence quality ${percent(quality)}`,
    ...(uncertain > 0.005 ? [`${percent(uncertain)} uncertain`] : []), ...(hand ? [`${percent(hand)} set by hand`] : [])] : ["left out by hand"];
  return { says: cells.length ? says : "nothing", facts, shares, uncertain };
}
