// The timeline: one canvas a person, all sharing one stretch of time, a playhead and a pointer.
import { colourOf, contrast, inkOn, paler, theme } from "./colour.js";
import { button, el, paint } from "./dom.js";
import { NAMES, STRONG, clock, percent } from "./format.js";
import { at, firstAfter, ordered, top } from "./people.js";

/** People drawn at once; the others on demand. */
const FIRST = 8;
const HEIGHT = { fused: 30, mix: 72, low: 38, lane: 20, gap: 6, axis: 22 };
const FINEST = 1.5; // narrower cells (in pixels) are drawn as means
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** The cells that are seen between two times; where they are too narrow, means over columns. */
function seen(cells, from, to, width) {
  const first = firstAfter(cells, from);
  let last = first;
  while (last < cells.length && cells[last].start < to) last++;
  if (last - first <= width / FINEST) return cells.slice(first, last);
  const columns = Math.floor(width / FINEST), step = (to - from) / columns, out = [];
  for (let c = 0, i = first; c < columns; c++) {
    const start = from + c * step, end = start + step, p = {};
    let weight = 0, unsure = 0, hand = 0, disagreement = 0;
    while (i < last && cells[i].end <= start) i++;
    for (let j = i; j < last && cells[j].start < end; j++) {
      const overlap = Math.min(end, cells[j].end) - Math.max(start, cells[j].start);
      weight += overlap;
      if (cells[j].uncertain) unsure += overlap;
      if (cells[j].hand) hand += overlap;
      disagreement = Math.max(disagreement, cells[j].disagreement ?? 0);
      for (const [label, v] of Object.entries(cells[j].p)) p[label] = (p[label] ?? 0) + overlap * v;
    }
    if (weight <= 0) continue;
    for (const label of Object.keys(p)) p[label] /= weight;
    const label = top(p);
    out.push({ start, end, p, label, confidence: p[label], uncertain: unsure > weight / 2 ? { reason: "" } : null, hand: hand > weight / 2, disagreement });
  }
  return out;
}

let hatch = null;
/** Diagonal strokes: here the engine does not want to say. */
export function hatching(context, colour) {
  if (hatch?.colour === colour) return hatch.pattern;
  const tile = el("canvas", { width: 8, height: 8 }), pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 1.6;
  pen.beginPath();
  for (const x of [-8, 0, 8]) { pen.moveTo(x, 8); pen.lineTo(x + 8, 0); }
  pen.stroke();
  hatch = { colour, pattern: context.createPattern(tile, "repeat") };
  return hatch.pattern;
}

function ribbon(pen, cells, x, y, height, colours, size) {
  for (const cell of cells) {
    const [left, right] = [x(cell.start), x(cell.end)];
    pen.fillStyle = cell.uncertain ? paler(cell.label, 0, colours.card) : paler(cell.label, cell.confidence, colours.card);
    pen.fillRect(left, y, Math.max(right - left, 0.5) + 0.3, height);
    if (!cell.uncertain) continue;
    pen.fillStyle = hatching(pen, colours.soft);
    pen.fillRect(left, y, right - left, height);
  }
  names(pen, cells, x, y, height, colours, size);
}

/** Mark what contradicts itself (above) and what was set by hand (below). */
function signs(pen, cells, x, y, height, colours) {
  for (const cell of cells) {
    const left = x(cell.start), width = Math.max(x(cell.end) - left, 0.5) + 0.3;
    pen.fillStyle = colours.warn;
    if (cell.disagreement >= STRONG) pen.fillRect(left, y, width, 5);
    pen.fillStyle = colours.ink;
    if (cell.hand) pen.fillRect(left, y + height - 3, width, 3);
  }
}

/** Write a label on every run of it that is wide enough. */
function names(pen, cells, x, y, height, colours, size) {
  pen.font = `500 ${size}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  const [least, most] = [x.from, x.to];
  for (let i = 0; i < cells.length;) {
    const first = cells[i];
    let j = i;
    while (j < cells.length && cells[j].label === first.label && !cells[j].uncertain === !first.uncertain
      && (j === i || cells[j].start - cells[j - 1].end < 2e-3)) j++;
    const left = Math.max(x(first.start), least), right = Math.min(x(cells[j - 1].end), most);
    const text = first.uncertain ? "uncertain" : first.label, width = pen.measureText(text).width;
    if (right - left > width + 10) {
      const middle = (left + right) / 2;
      const behind = first.uncertain ? [] : cells.slice(i, j).filter((cell) => x(cell.end) > middle - width / 2 && x(cell.start) < middle + width / 2)
        .map((cell) => paler(cell.label, cell.confidence, colours.card));
      const ink = behind.length ? inkOn(...behind) : colours.ink;
      const unread = first.uncertain || behind.some((colour) => contrast(ink, colour) < 4.5);
      if (unread) {
        pen.fillStyle = colours.card;
        pen.beginPath();
        pen.roundRect(middle - width / 2 - 4, y + height / 2 - size * 0.75, width + 8, size * 1.5, 4);
        pen.fill();
      }
      pen.fillStyle = unread ? colours.ink : ink;
      pen.fillText(text, middle, y + height / 2 + 0.5);
    }
    i = j;
  }
}

function gutterText(pen, text, x, y, size, colour) {
  pen.font = `${size}px system-ui, sans-serif`;
  pen.fillStyle = colour;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const lines = text.split("\n");
  lines.forEach((line, i) => pen.fillText(line, x.from - 7, y + (i - (lines.length - 1) / 2) * size * 1.2));
}

/** Probabilities stacked, as steps. */
function mixture(pen, cells, labels, x, y, height) {
  for (const cell of cells) {
    const left = x(cell.start), width = Math.max(x(cell.end) - left, 0.5) + 0.3;
    const total = labels.reduce((s, label) => s + (cell.p[label] ?? 0), 0) || 1;
    let foot = y + height;
    for (const label of labels) {
      const tall = ((cell.p[label] ?? 0) / total) * height;
      pen.fillStyle = colourOf(label);
      pen.fillRect(left, foot - tall, width, tall);
      foot -= tall;
    }
  }
}

export class Lanes {
  /**
   * `onseek(t)` hears where the user wants to be, `onselect(person)` whose lane was touched.
   * `onrange(from, to)` hears of a stretch that is drawn with Shift. Where `brief(person)` says so, only a person's result is drawn.
   */
  constructor({ duration, onseek, onselect, onrange = null, live = false, legend = true }) {
    Object.assign(this, { duration, onseek, onselect, onrange, live, time: 0, charts: [], tracks: [] });
    this.view = [0, duration];
    this.where = el("output", { class: "where" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.axis = el("canvas", { class: "axis", style: { height: `${HEIGHT.axis}px` } });
    this.above = el("div", {});
    this.knob = el("div", {
      class: "playhead", role: "slider", tabIndex: 0, "aria-label": "Playhead", "aria-valuemin": "0",
      "aria-orientation": "horizontal", hidden: live, onkeydown: (event) => this.key(event),
    });
    this.pointer = el("div", { class: "pointer", hidden: true });
    this.rows = el("div", { class: "rows" });
    this.crowd = button(null, "Show all", () => { this.all = true; this.arrange(); this.draw(); }, { class: "crowd", hidden: true });
    this.area = el("div", { class: "scrub" }, this.above, this.axis, this.rows, this.pointer, this.knob);
    this.pans = live ? [] : [button("back", "", () => this.pan(-0.5), { title: "Earlier" }), button("next", "", () => this.pan(0.5), { title: "Later" })];
    const tools = live ? null : el("div", { class: "tools" }, this.where, ...this.pans,
      button("minus", "", () => this.zoom(2), { title: "Zoom out" }), button("plus", "", () => this.zoom(0.5), { title: "Zoom in" }),
      button(null, "all", () => this.show(0, this.duration), { title: "Show the whole length" }));
    this.legend = el("ul", { class: "legend", "aria-label": "colours" });
    this.root = el("div", { class: "timeline" }, legend ? this.legend : null, tools, this.area, this.crowd, this.tip);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.area);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.dark.addEventListener("change", this.redraw);
    addEventListener("theme", this.redraw);
    if (!live) this.listen();
  }

  close() {
    this.watch.disconnect();
    this.dark.removeEventListener("change", this.redraw);
    removeEventListener("theme", this.redraw);
  }

  setPeople(people, labels) {
    this.labels = ordered(labels);
    this.legend.replaceChildren(...this.labels.map((label) =>
      el("li", {}, el("i", { style: { background: colourOf(label) } }), label)),
    ...(people.some((person) => person.lanes.fused.some((cell) => cell.uncertain)) ? [el("li", {}, el("i", { class: "hatched" }), "uncertain")] : []),
    ...(people.some((person) => person.lanes.fused.some((cell) => cell.disagreement >= STRONG)) ? [el("li", {}, el("i", { class: "strong" }), "contradiction")] : []),
    ...(people.some((person) => person.band(person.bands[0])?.some((cell) => cell.hand)) ? [el("li", {}, el("i", { class: "hand" }), "set by hand")] : []));
    this.people = people;
    this.arrange();
    this.draw();
  }

  arrange() {
    const shown = this.all ? this.people : this.people.slice(0, FIRST), more = this.people.length - shown.length;
    this.charts = shown.map((person) => this.charts.find((chart) => chart.person === person) ?? this.chart(person));
    this.crowd.hidden = !more;
    if (more) this.crowd.textContent = `Show ${more} more`;
    this.rows.replaceChildren(...this.charts.map((chart) => chart.row));
  }

  /** Something else along the same time, above the people: draw(pen, x, [from, to], height, colours). `title` names it to screen readers. */
  addTrack(name, height, draw, title = name || "Pictures") {
    const canvas = el("canvas", { class: "track", role: "img", "aria-label": title, style: { height: `${height}px` } });
    this.above.append(canvas);
    const track = { canvas, name, draw };
    this.tracks.push(track);
    this.draw();
    return track;
  }

  chart(person) {
    const canvas = el("canvas", { role: "img", "aria-label": `Timeline of ${person.name}` });
    const row = el("section", { class: "row", dataset: { subject: person.subject } },
      el("h3", { textContent: person.name }), canvas);
    return { person, canvas, row };
  }

  // ---- drawing
  get gutter() { return this.area.clientWidth < 560 ? [44, 8] : [56, 12]; }

  scale(width) {
    const [left, right] = this.gutter, [from, to] = this.view;
    const x = (t) => left + ((t - from) / (to - from || 1)) * (width - left - right);
    return Object.assign(x, { from: left, to: width - right });
  }

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.drawNow();
    });
  }

  drawNow() {
    if (!this.area.isConnected || !this.area.clientWidth) return;
    const colours = theme();
    for (const chart of this.charts) this.drawChart(chart, colours);
    paint(this.axis, (pen, width) => this.drawAxis(pen, width, colours));
    for (const { canvas, name, draw } of this.tracks) {
      paint(canvas, (pen, width, height) => {
        const x = this.scale(width);
        draw(pen, x, this.view, height, colours);
        gutterText(pen, name, x, height / 2, 11, colours.soft);
      });
    }
    this.place();
  }

  drawChart({ person, canvas }, colours) {
    const keys = this.brief?.(person) ? person.bands.slice(0, 1) : person.bands;
    const bands = keys.flatMap((key) => (key !== "fused" ? [[key, HEIGHT.lane]] : this.brief?.(person) ? [[key, HEIGHT.lane]] : [[key, HEIGHT.fused], ["mix", this.low ? HEIGHT.low : HEIGHT.mix]]));
    canvas.style.height = `${bands.reduce((sum, [, height]) => sum + height + HEIGHT.gap, 0)}px`;
    paint(canvas, (pen, width) => {
      const x = this.scale(width);
      let y = 0;
      for (const [key, height] of bands) {
        const cells = seen(person.band(key === "mix" ? "fused" : key), ...this.view, x.to - x.from);
        pen.fillStyle = colours.empty;
        pen.fillRect(x.from, y, x.to - x.from, height);
        pen.save();
        pen.beginPath();
        pen.rect(x.from, y, x.to - x.from, height);
        pen.clip();
        if (key === "mix") mixture(pen, cells, this.labels, x, y, height);
        else ribbon(pen, cells, x, y, height, colours, key === "fused" ? 12 : 10.5);
        if (key !== "mix") signs(pen, cells, x, y, height, colours);
        pen.restore();
        const result = key === "fused";
        gutterText(pen, key === "mix" ? "mix" : NAMES[key], x, y + height / 2, result ? 12 : 11, result ? colours.ink : colours.soft);
        y += height + HEIGHT.gap;
      }
      this.shade?.(person, pen, x, y, colours);
    });
  }

  drawAxis(pen, width, colours) {
    const x = this.scale(width), [from, to] = this.view;
    const step = STEPS.find((s) => ((x.to - x.from) / (to - from)) * s >= 70) ?? 14400;
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9; i++) {
      const place = x(i * step);
      pen.fillStyle = colours.line;
      pen.fillRect(place, HEIGHT.axis - 4, 1, 4);
      pen.fillStyle = colours.soft;
      const text = clock(i * step, step < 1 ? 1 : 0), half = pen.measureText(text).width / 2;
      if (i >= 0) pen.fillText(text, Math.min(place, width - half), HEIGHT.axis / 2 - 2);
    }
  }

  // ---- the view and the playhead
  show(from, to) {
    const span = Math.min(Math.max(to - from, Math.min(1, this.duration)), this.duration);
    const start = Math.min(Math.max((from + to - span) / 2, 0), this.duration - span);
    this.view = [start, start + span];
    const whole = span >= this.duration - 1e-6;
    for (const [i, pan] of this.pans.entries()) pan.disabled = i ? start + span >= this.duration - 1e-6 : start <= 0;
    this.where.textContent = whole ? `whole length, ${clock(this.duration, this.duration < 60 ? 1 : 0)}` : `${clock(start, 1)} – ${clock(start + span, 1)}`;
    this.draw();
  }

  /** Move the view by a part of itself. */
  pan(part) {
    const [from, to] = this.view, by = part * (to - from);
    this.show(from + by, to + by);
  }

  zoom(factor, around = this.time) {
    const [from, to] = this.view;
    const middle = around >= from && around <= to ? around : (from + to) / 2;
    this.show(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  setTime(t) {
    this.time = t;
    const [from, to] = this.view, span = to - from;
    if (span < this.duration - 1e-6 && (t < from || t > to)) this.show(t, t + span);
    this.knob.setAttribute("aria-valuemax", this.duration.toFixed(2));
    this.knob.setAttribute("aria-valuenow", t.toFixed(2));
    this.knob.setAttribute("aria-valuetext", this.spoken(t));
    this.place();
  }

  spoken(t) {
    const says = this.charts.flatMap(({ person }) => {
      const cell = at(person.band(person.bands[0] ?? "fused"), t);
      return cell ? [`${person.name} ${cell.uncertain ? "uncertain" : `${cell.label} ${percent(cell.confidence)}`}`] : [];
    });
    return [clock(t, 1), ...says.slice(0, 4)].join(", ");
  }

  place() {
    const x = this.scale(this.area.clientWidth)(this.time);
    this.knob.style.transform = `translateX(${x}px)`;
  }

  // ---- pointer and keys
  listen() {
    const timeAt = (event) => {
      const box = this.area.getBoundingClientRect(), x = this.scale(box.width);
      const part = (event.clientX - box.left - x.from) / (x.to - x.from);
      return this.view[0] + Math.min(Math.max(part, 0), 1) * (this.view[1] - this.view[0]);
    };
    const personAt = (event) => this.charts.find(({ row }) => row.contains(event.target))?.person;
    let held = false, from = null;
    this.area.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      held = true;
      from = event.shiftKey && this.onrange ? timeAt(event) : null;
      this.area.setPointerCapture(event.pointerId);
      const person = personAt(event);
      if (person) this.onselect?.(person);
      this.onseek(timeAt(event));
      this.knob.focus({ preventScroll: true, focusVisible: false });
      event.preventDefault();
    });
    this.area.addEventListener("pointermove", (event) => {
      const t = timeAt(event);
      if (held && from !== null) this.onrange(from, t);
      if (held) this.onseek(t);
      if (event.pointerType !== "mouse") return;
      this.pointer.hidden = false;
      this.pointer.style.transform = `translateX(${this.scale(this.area.clientWidth)(t)}px)`;
      this.hint(personAt(event), t, event);
    });
    const release = () => { held = false; };
    this.area.addEventListener("pointerup", release);
    this.area.addEventListener("pointercancel", release);
    this.area.addEventListener("pointerleave", () => { this.tip.hidden = this.pointer.hidden = true; });
    this.area.addEventListener("wheel", (event) => {
      const sideways = event.shiftKey ? event.deltaY : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
      if (!event.ctrlKey && !event.metaKey && !sideways) return;
      event.preventDefault();
      if (sideways) this.pan(sideways / this.area.clientWidth); else this.zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
    }, { passive: false });
  }

  hint(person, t, event) {
    const lines = person?.bands.flatMap((key) => {
      const cell = at(person.band(key), t);
      if (!cell) return [];
      const text = cell.hand ? `${cell.label}, set by hand${cell.found === null ? "" : ` (found: ${cell.found})`}` : cell.uncertain ? `uncertain: ${cell.uncertain.message}` : `${cell.label} ${percent(cell.confidence)}`;
      return [el("p", {}, el("i", { style: { background: colourOf(cell.label) } }), el("b", { textContent: NAMES[key] }), text)];
    }) ?? [];
    this.tip.hidden = false;
    this.tip.replaceChildren(el("h4", { textContent: `${person ? `${person.name} at ` : ""}${clock(t, 1)}` }), ...lines);
    const box = this.tip.getBoundingClientRect();
    const x = event.clientX + 16 + box.width < innerWidth ? event.clientX + 16 : event.clientX - 16 - box.width;
    this.tip.style.left = `${Math.max(6, x)}px`;
    this.tip.style.top = `${Math.max(6, Math.min(event.clientY + 14, innerHeight - box.height - 8))}px`;
  }

  key(event) {
    const fine = (this.view[1] - this.view[0]) / 100;
    const moves = {
      ArrowLeft: -(event.shiftKey ? 5 : 0.5), ArrowRight: event.shiftKey ? 5 : 0.5, ArrowDown: -fine, ArrowUp: fine,
      PageDown: -(this.view[1] - this.view[0]) / 5, PageUp: (this.view[1] - this.view[0]) / 5, Home: -Infinity, End: Infinity,
    };
    if (event.key in moves) this.onseek(Math.min(Math.max(this.time + moves[event.key], 0), this.duration));
    else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
