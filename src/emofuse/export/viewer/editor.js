// Putting a result right by hand: who is who, labels over stretches, marks, notes. All of it by keys, too.
import { colourOf, inkOn } from "./colour.js";
import { button, el } from "./dom.js";
import { active, agreement, applyEdits, countOf, history, inWords, newEdit } from "./edits.js";
import { MODALITIES, clock, percent, plural } from "./format.js";
import { at } from "./people.js";

const LISTED = 100; // edits that are listed at once

export class Editor {
  /**
   * `viewer` shows the result. `keeper` keeps the edits: `edits` (those there are), `add(edits)` → all of them, or throws;
   * `where`, said below; `save()`, if there is something to save; `onchange(act)` tells of edits that came from elsewhere.
   */
  constructor(viewer, keeper) {
    Object.assign(this, { viewer, keeper, edits: keeper.edits, stretch: { start: null, end: null } });
    this.found = viewer.timeline.estimates;
    this.build();
    this.show();
    keeper.onchange?.((edits, why) => { this.take(edits); if (why) this.tell(why); });
    addEventListener("keydown", (event) => this.command(event), { signal: viewer.aborter.signal });
  }

  build() {
    this.where = el("output", { class: "stretch" });
    this.labels = el("div", { class: "choices", role: "group", "aria-label": "Label of the stretch" });
    this.undoButton = button(null, "Undo (z)", () => this.undo());
    this.redoButton = button(null, "Redo (y)", () => this.redo());
    this.count = el("span", { class: "small" });
    this.message = el("p", { class: "told", role: "status" });
    this.agreed = el("p", { class: "small" });
    this.ask = el("form", { class: "ask", hidden: true });
    this.list = el("ol", { class: "edits" });
    this.all = el("details", { hidden: true }, el("summary", { textContent: "All edits" }), this.list);
    this.author = el("input", { id: "author", autocomplete: "name", maxLength: 200, value: this.keeper.author, onchange: () => { this.keeper.author = this.author.value.trim(); } });
    this.head = el("summary", {});
    const act = (text, key, run) => button(null, `${text} (${key})`, run);
    this.root = el("details", { class: "card editor noprint", ontoggle: () => this.show() }, this.head,
      el("div", { class: "row-end" }, el("span", { class: "what", textContent: "Stretch" }), this.where,
        act("From here", "i", () => this.edge("start")), act("To here", "o", () => this.edge("end")), this.clearButton = button(null, "Clear (Esc)", () => this.clear())),
      el("div", { class: "row-end" }, this.who = el("span", { class: "what" }), this.labels, act("Confirm", "c", () => this.confirm())),
      el("div", { class: "row-end" }, el("span", { class: "what", textContent: "Person" }), act("Name", "r", () => this.rename()), act("Merge into", "j", () => this.join()), act("Split here", "s", () => this.split())),
      el("div", { class: "row-end" }, el("span", { class: "what", textContent: "Place" }), act("Mark", "b", () => this.mark()), act("Note", "n", () => this.note()), act("Exclude", "x", () => this.exclude())),
      this.ask, this.message,
      el("div", { class: "row-end" }, this.undoButton, this.redoButton, this.count, el("span", { class: "spring" }),
        el("label", { class: "author", for: "author" }, "Your name", this.author),
        this.saveButton = this.keeper.save ? button("download", "Save the edits", () => this.keeper.save(), { class: "primary" }) : null),
      el("p", { class: "small", textContent: this.keeper.where }), this.agreed, this.all);
  }

  get open() { return this.root.open; }
  get person() { return this.viewer.chosen; }
  get time() { return this.viewer.player?.shown ?? 0; }
  called(subject) { return this.viewer.nameOf(subject); }

  // ---- the stretch that is edited
  /** What is chosen, or else the run of one label at the playhead, of which nothing is seen twice. */
  get span() {
    const { start, end } = this.stretch;
    if (start !== null || end !== null) {
      const [a, b] = [start ?? this.time, end ?? this.time];
      return { start: Math.min(a, b), end: Math.max(a, b), chosen: true };
    }
    const cells = this.cells, now = at(cells, this.time) ?? (this.viewer.still ? cells[0] : null);
    if (!now) return null;
    let i = cells.indexOf(now), j = i;
    const like = (cell) => cell && cell.label === now.label && !cell.uncertain === !now.uncertain;
    while (like(cells[i - 1]) && cells[i].start - cells[i - 1].end < 2e-3) i--;
    while (like(cells[j + 1]) && cells[j + 1].start - cells[j].end < 2e-3) j++;
    return { start: cells[i].start, end: cells[j].end, chosen: false };
  }

  get cells() {
    const { person } = this;
    return person ? person.band(person.bands[0]) ?? [] : [];
  }

  edge(which) {
    this.stretch[which] = toMs(this.time);
    this.tell("");
    this.show();
  }

  choose(start, end) {
    this.stretch = { start: toMs(Math.min(start, end)), end: toMs(Math.max(start, end)) };
    this.show();
  }

  clear() {
    this.stretch = { start: null, end: null };
    this.closeAsk();
    this.show();
  }

  // ---- the edits
  label(label) { this.overStretch((span) => ({ kind: "label", subject: this.person.subject, ...span, label })); }
  confirm() { this.overStretch((span) => ({ kind: "confirm", subject: this.person.subject, ...span })); }

  overStretch(make) {
    const { span } = this;
    if (!span || !this.person) { this.tell("There is nobody at the playhead; go to where somebody is."); return; }
    if (this.add(make({ start: toMs(span.start), end: toMs(span.end) }))) this.stretch = { start: null, end: null };
    this.show();
  }

  rename() {
    const { person } = this;
    if (person) this.askFor(`Name of ${person.name}`, person.name, (name) => this.add({ kind: "name", subject: person.subject, name }));
  }

  note() {
    const span = this.stretch.start !== null ? this.span : { start: this.time, end: this.time };
    this.askFor(`Note at ${clock(span.start, 1)}`, "", (text) => text && this.add({ kind: "note", start: toMs(span.start), end: toMs(span.end), text, subject: null }));
  }

  mark() { this.add({ kind: "mark", at: toMs(this.time), text: "" }); }

  exclude() {
    const { span, person } = this;
    if (!span) { this.tell("There is nothing at the playhead to leave out; choose a stretch with i and o."); return; }
    const choices = [["", "everybody"], ...(person ? [[person.subject, person.name]] : [])];
    this.askOneOf(`Exclude ${clock(span.start, 1)} – ${clock(span.end, 1)} for`, choices, (subject) => {
      if (this.add({ kind: "exclude", start: toMs(span.start), end: toMs(span.end), subject: subject || null })) this.clear();
    });
  }

  split() {
    const { person } = this;
    if (!person) return;
    const kind = person.subject.split("-")[0], taken = [...this.found, ...this.edits.map((e) => ({ subject: e.into ?? "" }))].filter((e) => e.subject.startsWith(`${kind}-`));
    const number = taken.reduce((most, e) => Math.max(most, Number(e.subject.split("-")[1])), 0) + 1;
    this.add({ kind: "split", subject: person.subject, at: toMs(this.time), into: `${kind}-${number}` });
  }

  join() {
    const { person } = this, others = this.viewer.subjects.filter((s) => s !== person?.subject && !s.startsWith("group"));
    if (!person || !others.length) { this.tell("There is nobody else."); return; }
    this.askOneOf(`${person.name} is the same as`, others.map((s) => [s, this.called(s)]), (into) => this.add({ kind: "merge", subject: person.subject, into }));
  }

  undo() {
    const { undo } = history(this.edits);
    if (undo) this.add({ kind: "undo", of: undo.id }, `Undone: ${inWords(undo, (s) => this.called(s))}.`);
  }

  redo() {
    const { redo } = history(this.edits);
    if (redo) this.add({ kind: "undo", of: redo.id }, "Done again.");
  }

  /** Add an edit, if it can be done. */
  add(change, said) {
    const edit = newEdit(this.keeper.author, change);
    const { skipped } = applyEdits(this.found, [...this.edits, edit], MODALITIES);
    const why = skipped.find(([e]) => e === edit)?.[1];
    if (why) { this.tell(`That cannot be done: ${why}.`); return false; }
    const words = said ?? `${inWordsOf(edit, this)}.`;
    this.take([...this.edits, edit]);
    this.tell(words);
    this.keeper.add(edit);
    return true;
  }

  take(edits) {
    this.edits = edits;
    this.viewer.edited(applyEdits(this.found, edits, MODALITIES));
    this.show();
  }

  // ---- what is asked for
  askFor(text, value, done) {
    const field = el("input", { id: "asked", value, maxLength: 4000, autocomplete: "off" });
    this.openAsk(text, field, () => done(field.value.trim()));
    field.select();
  }

  askOneOf(text, choices, done) {
    const field = el("select", { id: "asked" }, ...choices.map(([key, name]) => el("option", { value: key, textContent: name })));
    this.openAsk(text, field, () => done(field.value));
  }

  openAsk(text, field, done) {
    this.before = document.activeElement;
    this.ask.replaceChildren(el("label", { for: "asked", textContent: text }), field, el("button", { type: "submit", class: "primary", textContent: "OK" }), button(null, "Cancel", () => this.closeAsk()));
    this.ask.onsubmit = (event) => { event.preventDefault(); this.closeAsk(); done(); };
    this.ask.onkeydown = (event) => { if (event.key === "Escape") { event.stopPropagation(); this.closeAsk(); } };
    this.ask.hidden = false;
    field.focus();
  }

  closeAsk() {
    if (this.ask.hidden) return;
    document.activeElement?.blur(); // a field that is hidden would keep the next key
    this.ask.hidden = true;
    this.before?.focus?.({ preventScroll: true });
  }

  tell(text) { this.message.textContent = text; }

  // ---- what is shown
  show() {
    const { undo, redo } = history(this.edits), n = active(this.edits).length;
    this.clearButton.disabled = this.stretch.start === null && this.stretch.end === null;
    this.head.textContent = n ? `Corrections by hand: ${countOf(this.edits)}` : "Corrections by hand";
    this.undoButton.disabled = !undo;
    this.redoButton.disabled = !redo;
    this.count.textContent = n ? countOf(this.edits) : "no edits";
    if (this.saveButton) this.saveButton.disabled = !this.edits.length;
    this.listEdits();
    this.showAgreement();
    this.moved();
    this.viewer.lanes?.draw();
  }

  /** The playhead has moved, or somebody else was chosen. */
  moved() {
    if (!this.open) return;
    const { span, person } = this, where = span ? `${clock(span.start, 1)} – ${clock(span.end, 1)}${span.chosen ? "" : " (at the playhead)"}` : "nothing at the playhead";
    this.who.textContent = person ? person.name : "Nobody";
    this.choices();
    if (where === this.where.textContent) return;
    this.where.textContent = where;
    this.viewer.lanes?.draw();
  }

  choices() {
    const labels = Object.keys(this.cells[0]?.p ?? {}), now = at(this.cells, this.time)?.label, key = labels.join();
    if (key !== this.shownLabels) {
      this.shownLabels = key;
      this.labels.replaceChildren(...labels.map((label, i) => el("button", { type: "button", dataset: { label }, style: { background: colourOf(label), color: inkOn(colourOf(label)) }, onclick: () => this.label(label) }, i < 9 ? `${label} (${i + 1})` : label)));
    }
    for (const node of this.labels.children) node.setAttribute("aria-pressed", String(node.dataset.label === now));
  }

  listEdits() {
    const shown = active(this.edits).slice(-LISTED).reverse();
    this.all.hidden = !shown.length;
    this.list.replaceChildren(...shown.map((edit) => el("li", {},
      "start" in edit || "at" in edit ? el("button", { type: "button", class: "jump", textContent: "go to", onclick: () => this.viewer.player.seek((edit.start ?? edit.at) + 1e-3) }) : null,
      el("span", { textContent: ` ${inWordsOf(edit, this)}${edit.author ? ` · ${edit.author}` : ""} ` }),
      button(null, "undo", () => this.add({ kind: "undo", of: edit.id }, "Undone."), { class: "jump", "aria-label": `undo: ${inWordsOf(edit, this)}` }))));
  }

  showAgreement() {
    const { slots, same, kappa } = agreement(this.viewer.shownEstimates);
    this.agreed.hidden = !slots;
    if (!slots) return;
    const none = same === 0 ? " Confirm what is right, too (c): who only corrects what is wrong measures nothing." : "";
    this.agreed.textContent = `You and the machine agree on ${same} of ${plural(slots, "slot")} that you labelled (${percent(same / slots)}${kappa === null ? "" : `, Cohen’s kappa ${kappa.toFixed(2)}`}).${none}`;
  }

  /** Shade the stretch that is chosen. */
  shade(pen, x, height, colours) {
    if (!this.open || !this.span) return;
    const { start, end, chosen } = this.span;
    pen.save();
    pen.globalAlpha = chosen ? 0.28 : 0.12;
    pen.fillStyle = colours.link;
    pen.fillRect(x(start), 0, Math.max(x(end) - x(start), 2), height);
    pen.restore();
  }

  // ---- keys
  key(event) {
    if (!this.open) return false;
    const labels = Object.keys(this.cells[0]?.p ?? {}), number = Number(event.key);
    const acts = {
      i: () => this.edge("start"), o: () => this.edge("end"), Escape: () => this.clear(), c: () => this.confirm(), x: () => this.exclude(), b: () => this.mark(), n: () => this.note(),
      r: () => this.rename(), j: () => this.join(), s: () => this.split(), z: () => this.undo(), y: () => this.redo(),
    };
    if (number >= 1 && number <= labels.length) this.label(labels[number - 1]);
    else if (Object.hasOwn(acts, event.key)) acts[event.key]();
    else return false;
    return true;
  }

  /** Undo and redo as everywhere: with Ctrl or ⌘. */
  command(event) {
    if (!this.open || !(event.ctrlKey || event.metaKey) || event.altKey || event.target.closest("input, textarea")) return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) this.undo();
    else if (key === "y" || key === "z") this.redo();
    else return;
    event.preventDefault();
  }
}

const toMs = (t) => Math.round(t * 1000) / 1000;
const inWordsOf = (edit, editor) => (edit.kind === "undo" ? "undone" : inWords(edit, (s) => editor.called(s)));
