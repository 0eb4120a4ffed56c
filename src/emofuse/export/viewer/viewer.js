// One result: player, timeline, bars at the playhead, words, people. The same on a page of its own and on the server's.
import { Bars, shareBar } from "./bars.js";
import { brief } from "./brief.js";
import { colourOf } from "./colour.js";
import { button, el, honest, icon } from "./dom.js";
import { applyEdits } from "./edits.js";
import { Editor } from "./editor.js";
import { MODALITIES, NAMES, STRONG, clock, learnModalities, percent, personName, plural } from "./format.js";
import { Lanes, hatching } from "./lanes.js";
import { People, at, ordered } from "./people.js";
import { Player, peaksOf } from "./player.js";
import { HIGHEST, levelsOf, pictureOf } from "./spectrogram.js";

const STRIP = 46; // height of the row of small pictures
const WAVE = 44, SPECTRUM = 64;
const SPREAD = 28;
const REMARKS = 20;
const OVERLAPS = 14;
const MANY = 50; // people told of at once
const TABS = 12; // people with a tab each; the others are chosen from a list

const HOW = [
  ["Bands and mix", "The thick band is the result of all evidence together: its color is the most probable label, and the paler, the less sure. Below it are the probabilities of all labels, stacked. The thin bands show what face, voice and words say by themselves. Gray stretches are empty: nobody was seen or heard."],
  ["Uncertain", "Hatched: the evidence is too poor, or no expression is much more probable than the others. The bars show the best guess, which is often wrong."],
  ["Contradiction", "A bar above the result: face, voice and words contradict each other there (a disagreement of 50 % or more), so that the result depends on which of them one believes."],
  ["Set by hand", "A line below the result: somebody corrected or confirmed the label. What the machine had said is told on hovering."],
  ["Sound and spectrogram", "The loudness, and below it how much of each frequency there is (low ones at the bottom, up to 7.6 kHz, on a scale like the ear's). Bright rungs are the voice's overtones: close together for a low voice, rising where the melody rises."],
  ["Confidence", "The probability of the top label, adjusted so that on test data “70 %” was right about 70 times in 100. Other material is harder, and a person may well see something else."],
  ["Quality", "How good the evidence was: size, sharpness and light of the face; noise and length of the speech; how sure the words are. It says nothing about the person."],
  ["Weight and disagreement", "How much face, voice and words each counted in the result, and how far they contradict each other: 0 % if all say the same. A sarcastic “great” is a typical disagreement."],
  ["Valence and arousal", "How pleasant (−1 to +1) and how excited (−1 to +1) the expression is. Shown only where a model tells it; it is never worked out from the labels."],
  ["Group", "What the faces, the voice and the motion say together: positive, neutral or negative. “Apart” is how far people differ: nothing if all show the same, full height if one half is surely positive and the other surely negative. The model learned from made scenes; what a group feels it cannot know."],
  ["Who is who", "“Face 2” is a face followed through the picture, not a known person. Who leaves and comes back may get a new number. A voice is given to the face whose mouth moves with it, and stands alone where that is unclear."],
];

export class Viewer {
  /**
   * `timeline`: as in timeline.json. The rest is optional: `sources`, {video, audio, image} addresses;
   * `thumbnails`, [{time, image}]; `portraits`, subject → address; `moments`, pictures of a group's highlights; `wave(signal)`, the bytes to draw a waveform of;
   * `onfile`, what hears of a file that the user opens; `after`, what stands below the people; `keeper`, what keeps edits by hand (see `Editor`).
   */
  constructor(timeline, { sources = {}, thumbnails = [], portraits = {}, moments = [], wave = null, onfile = null, after = [], keeper = null } = {}) {
    Object.assign(this, { timeline, sources, thumbnails, portraits, moments, wave, onfile, after, keeper });
    learnModalities(timeline.summary.modalities);
    Object.assign(this, { shownEstimates: timeline.estimates, names: timeline.names ?? {}, remarks: timeline.remarks ?? [], touched: false });
    if (keeper?.edits.length) this.adopt(applyEdits(timeline.estimates, keeper.edits, MODALITIES)); else this.sortPeople();
    this.chosen = this.list[0] ?? null;
    this.duration = timeline.estimates.reduce((end, e) => Math.max(end, e.end), timeline.duration || 0);
    this.kind = timeline.media.kind;
    this.still = this.duration === 0 || (this.kind === "image" && !sources.audio && timeline.estimates.every((e) => e.start === 0));
    this.aborter = new AbortController();
    this.root = el("div", { class: "viewer result" });
    this.build();
    this.printing();
  }

  /** Sort the estimates into people, in the summary's order and by the names that they have. */
  sortPeople() {
    this.people = new People(this.shownEstimates);
    this.subjects ??= [...this.people.all.keys()];
    if (!this.touched) { this.list = this.people.named(this.timeline.summary); return; }
    const place = new Map(this.timeline.summary.people.map(({ subject }, i) => [subject, i])), rank = (p) => place.get(p.subject) ?? Infinity;
    this.list = this.people.list.map((p) => Object.assign(p, { name: this.nameOf(p.subject) })).sort((a, b) => rank(a) - rank(b) || 0);
  }

  nameOf(subject) {
    this.toldNames ??= new Map(this.timeline.summary.people.map((p) => [p.subject, p.name]));
    return this.names[subject] ?? this.toldNames.get(subject) ?? personName(subject);
  }

  adopt({ estimates, names, remarks, subjects }) {
    Object.assign(this, { shownEstimates: estimates, names, remarks, subjects, touched: true });
    this.sortPeople();
  }

  /** Show the result as it is with other edits; the player plays on. */
  edited(result) {
    const was = this.chosen?.subject;
    this.adopt(result);
    this.player.people = this.people;
    this.lanes?.setPeople(this.list, this.people.labels);
    for (const key of ["tabs", "peopleCard", "doubtsCard", "remarksCard"]) this.renew(key);
    if (this.transcript) this.renewWords();
    if (this.remarkTrack) this.remarkTrack.canvas.hidden = !this.remarks.length;
    this.choose(this.list.find((person) => person.subject === was) ?? this.list[0] ?? null);
  }

  /** Make a part anew in its place. */
  renew(key) {
    const make = { tabs: () => this.tabBar(), peopleCard: () => this.peoplePart(), doubtsCard: () => this.doubts(), remarksCard: () => this.remarksPart() }[key];
    const old = this[key];
    this[key] = make();
    if (old.open) this[key].open = true;
    old.replaceWith(this[key]);
  }

  renewWords() {
    const old = this.transcript;
    this.transcript = this.sentences() ?? el("div", { class: "transcript" });
    old.replaceWith(this.transcript);
  }

  build() {
    if (!this.list.length && !this.touched) {
      this.root.append(this.facts(), ...this.notes(), el("p", { class: "card none" },
        "No face, no voice and no words were found, so there is nothing to show. That is a result, not an error."), this.playerPart(), ...this.after, honest());
      return;
    }
    this.bars = new Bars(ordered(this.people.labels));
    this.tabs = this.tabBar();
    const side = el("section", { class: "card side", "aria-label": "At the playhead" }, this.tabs, this.bars.root);
    const stage = this.playerPart();
    this.transcript = this.sentences();
    const text = this.kind === "text", said = this.transcript && !text ? this.spokenPart() : null;
    const people = this.peopleCard = this.peoplePart(), few = this.list.length <= 4;
    const left = text ? el("div", { class: "card readout" }, this.transcript, stage)
      : el("div", { class: "beside" }, stage, this.kind === "audio" ? said : !this.still && few ? people : null);
    this.root.append(this.facts(), ...this.notes(),
      el("div", { class: "watch" }, left, el("div", { class: "beside" }, side, this.kind === "audio" ? null : said, this.still ? people : null)));
    if (this.transcript) this.root.append(this.printedWords());
    if (this.still) this.root.append(this.tables()); else this.root.append(this.timelinePart(), ...[this.momentsPart()].filter(Boolean), ...(left.contains(people) ? [] : [people]));
    if (this.keeper) this.editor = new Editor(this, this.keeper);
    this.root.append(...(this.editor ? [this.editor.root] : []), this.remarksCard = this.remarksPart(), this.doubtsCard = this.doubts(), ...this.after, honest(), ...this.about());
    this.choose(this.chosen);
    const first = this.list[0]?.lanes.fused[0]?.start ?? 0;
    if (first > 0 && !this.still) this.player.seek(first + 1e-3); else this.player.tell(0);
    if (this.wave) this.sound();
  }

  close() {
    this.aborter.abort();
    this.player?.close();
    this.lanes?.close();
  }

  // ---- parts
  facts() {
    return el("ul", { class: "facts" }, ...this.timeline.summary.facts.map((fact) => el("li", { textContent: fact })));
  }

  notes() {
    return this.timeline.notes.map(({ message, at: t }) =>
      el("p", { class: "note", textContent: t === null ? message : `${message} (at ${clock(t)})` }));
  }

  playerPart() {
    const { video } = this.timeline.media;
    this.player = new Player({
      sources: this.sources, thumbnails: this.thumbnails, shape: video ? [video.width, video.height] : null,
      duration: this.still ? 0 : this.duration, people: this.people,
      ontime: (t) => this.setTime(t), onpick: (person) => this.choose(person), onfile: this.onfile && ((file) => this.opened(file)),
    });
    return this.player.root;
  }

  timelinePart() {
    this.lanes = new Lanes({ duration: this.duration, onseek: (t) => this.player.seek(t), onselect: (person) => this.choose(person), onrange: this.keeper ? (from, to) => this.editor.choose(from, to) : null });
    this.lanes.shade = (person, pen, x, height, colours) => { if (person === this.chosen) this.editor?.shade(pen, x, height, colours); };
    this.lanes.setPeople(this.list, this.people.labels);
    this.lanes.show(0, this.duration);
    if (this.thumbnails.length > 1) this.strip();
    this.dispersion();
    this.overlaps();
    this.remarkTrack = this.lanes.addTrack("marks", REMARKS, (...given) => this.drawRemarks(...given));
    this.remarkTrack.canvas.hidden = !this.remarks.length;
    return el("section", { class: "card", "aria-label": "Timeline" }, el("h2", { textContent: "Timeline" }), this.lanes.root,
      this.timeline.people?.overlaps.length ? el("p", { class: "small", textContent: "“overlap”: two people may speak at once, so that what is said of the voice is of both. In test mixtures three in four of such marks held an overlap, and a third of all overlaps were noticed." }) : null,
      el("p", { class: "small keys", textContent: "Click or drag to go there. Space plays, ← → move by half a second (with Shift by five), + and − zoom; a sideways wheel pans." }));
  }

  /** Small pictures along the time. */
  strip() {
    const pictures = this.thumbnails.map(({ time, image }) => {
      const picture = new Image();
      picture.onload = () => this.lanes.draw();
      picture.src = image;
      return { time, picture };
    });
    this.lanes.addTrack("", STRIP, (pen, x, [from, to], height) => {
      const [{ picture: first }] = pictures;
      if (!first.naturalHeight) return;
      const count = Math.max(1, Math.round((x.to - x.from) / (height * first.naturalWidth / first.naturalHeight)));
      const width = (x.to - x.from) / count;
      for (let i = 0; i < count; i++) {
        const t = from + ((i + 0.5) / count) * (to - from);
        const { picture } = pictures.reduce((a, b) => (Math.abs(b.time - t) < Math.abs(a.time - t) ? b : a));
        if (picture.naturalHeight) pen.drawImage(picture, x.from + i * width, 0, width - 1, height);
      }
    });
  }

  /** How far people differ, as a line along the time: the higher, the further. */
  dispersion() {
    const cells = (this.people.get("group-1")?.lanes.fused ?? []).filter((cell) => cell.dispersion !== null);
    if (!cells.length) return;
    this.lanes.addTrack("apart", SPREAD, (pen, x, view, height, colours) => {
      pen.fillStyle = colours.soft;
      for (const { start, end, dispersion } of cells) {
        const tall = Math.max(1, dispersion * (height - 2));
        pen.fillRect(x(start), height - tall, Math.max(x(end) - x(start) - 1, 0.5), tall);
      }
    });
  }

  /** Where two people may speak at once. */
  overlaps() {
    const found = this.timeline.people?.overlaps ?? [];
    if (!found.length) return;
    this.lanes.addTrack("overlap", OVERLAPS, (pen, x, [from, to], height, colours) => {
      for (const { start, end } of found) {
        if (end < from || start > to) continue;
        const left = Math.max(x(start), x.from), width = Math.max(Math.min(x(end), x.to) - left, 2);
        pen.fillStyle = hatching(pen, colours.soft);
        pen.fillRect(left, 2, width, height - 4);
        pen.strokeStyle = colours.soft;
        pen.strokeRect(left, 2, width, height - 4);
      }
    }, `Possible overlaps of voices: ${found.map(({ start, end }) => `${clock(start, 1)} to ${clock(end, 1)}`).join(", ")}`);
  }

  /** Flags for marks, lines for notes, hatching for what was left out. */
  drawRemarks(pen, x, view, height, colours) {
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    for (const { kind, start, end, text } of this.remarks) {
      const [left, right] = [x(start), x(end)];
      if (right < x.from || left > x.to) continue;
      if (kind === "excluded") {
        pen.fillStyle = hatching(pen, colours.soft);
        pen.fillRect(Math.max(left, x.from), 0, Math.min(right, x.to) - Math.max(left, x.from), height);
        continue;
      }
      pen.fillStyle = kind === "mark" ? colours.link : colours.soft;
      pen.fillRect(left, 0, 2, height);
      if (kind === "mark") { pen.beginPath(); pen.moveTo(left, 0); pen.lineTo(left + 9, 4.5); pen.lineTo(left, 9); pen.fill(); } else pen.fillRect(left, 0, Math.max(right - left, 4), 3);
      pen.fillStyle = colours.ink;
      const short = text.length > 40 ? `${text.slice(0, 39)}…` : text, fits = left + 11 + pen.measureText(short).width < x.to;
      pen.textAlign = fits ? "left" : "right";
      if (text) pen.fillText(short, fits ? left + 11 : left - 4, height - 7);
    }
  }

  /** What was put down by hand, to read and to jump to. */
  remarksPart() {
    const said = { mark: "mark", note: "note", excluded: "left out" };
    return el("section", { class: "card", "aria-label": "Marks and notes", hidden: !this.remarks.length }, el("h2", { textContent: "Marks and notes" }),
      el("ul", { class: "doubts" }, ...this.remarks.map(({ kind, start, end, text, subject }) => el("li", {},
        el("button", { type: "button", class: "jump", textContent: end > start ? `${clock(start, 1)} – ${clock(end, 1)}` : clock(start, 1), onclick: () => this.player.seek(start + 1e-3) }),
        ` ${said[kind]}${subject ? `, ${this.nameOf(subject)}` : ""}${text ? `: ${text}` : ""}`))));
  }

  /** The group's most expressive moments, to look at and to jump to. */
  momentsPart() {
    const found = this.timeline.summary.group?.highlights ?? [];
    if (!found.length || this.still) return null;
    return el("section", { class: "card", "aria-label": "Moments of the group" }, el("h2", { textContent: "Most expressive moments of the group" }),
      el("ul", { class: "moments" }, ...found.map(({ label, start, end, confidence }) => {
        const picture = this.moments.find(({ time }) => Math.abs(time - start) < 2e-3)?.image;
        return el("li", {}, el("button", { type: "button", style: { "--tint": colourOf(label) }, onclick: () => { this.choose(this.people.get("group-1")); this.player.seek(start + 1e-3); } },
          picture ? el("img", { src: picture, alt: "" }) : null,
          el("span", { class: "tag", textContent: `${label} ${percent(confidence)} · ${clock(start)}–${clock(end)}` })));
      })));
  }

  spokenPart() {
    return el("section", { class: "card" }, el("h2", { textContent: "What was said" }),
      el("p", { class: "small", textContent: "The color is what the words express by themselves, apart from voice and face." }), this.transcript);
  }

  tabBar() {
    if (this.list.length === 1) return el("h2", { textContent: this.list[0].name });
    const rest = this.list.slice(TABS), more = el("select", { "aria-label": "More people", onchange: () => this.choose(rest[more.selectedIndex - 1] ?? this.chosen) },
      el("option", { textContent: `${rest.length} more …` }), ...rest.map(({ name }) => el("option", { textContent: name })));
    return el("div", { class: "tabs", role: "group", "aria-label": "Person" }, ...this.list.slice(0, TABS).map((person) =>
      el("button", { type: "button", textContent: person.name, dataset: { subject: person.subject }, onclick: () => this.choose(person) })), rest.length ? more : null);
  }

  sentences() {
    const all = this.people.sentences;
    if (!all.length) return null;
    this.spoken = all.map((cell) => {
      const node = el("button", { type: "button", class: `sentence${cell.uncertain ? " unsure" : ""}`, style: { "--tint": colourOf(cell.label) }, onclick: () => this.player.seek(cell.start + 1e-3) },
        el("span", { class: "said", textContent: cell.text }), el("span", { class: "tag", textContent: tagOf(cell) }));
      return { cell, node };
    });
    return el("div", { class: "transcript" }, ...this.spoken.map(({ node }) => node));
  }

  /** On paper the words stand below the timeline, whole. */
  printedWords() {
    return el("section", { class: "card printed" }, el("h2", { textContent: "What was said" }),
      el("ul", { class: "doubts" }, ...this.people.sentences.map((cell) => el("li", { textContent: `${cell.text} (${tagOf(cell)})` }))));
  }

  peoplePart() {
    const told = this.touched ? this.list.map((person) => ({ name: person.name, ...brief(person.band(person.bands[0]) ?? [], this.duration) })) : this.timeline.summary.people;
    const row = (p, i) => el("li", {}, this.portrait(this.list[i]),
      el("div", {}, el("p", { class: "says" }, el("b", { textContent: `${p.name}: ` }), spaced(p.says)), this.still ? null : shareBar(p),
        el("p", { class: "small", textContent: spaced(p.facts.join(" · ")) })));
    const list = el("ul", { class: "people" }, ...told.slice(0, MANY).map(row)), rest = told.length - MANY;
    const more = rest > 0 ? button(null, `Show ${rest} more`, () => { more.remove(); list.append(...told.slice(MANY).map((p, i) => row(p, i + MANY))); }) : null;
    return el("section", { class: "card" }, el("h2", { textContent: "Summary" }), list, more);
  }

  portrait(person) {
    const frame = el("span", { class: "portrait" }, icon(person.subject.startsWith("speaker") ? "audio" : "face"));
    const known = this.portraits[person.subject];
    if (known) frame.replaceChildren(el("img", { src: known, alt: "" }));
    else if (person.face) this.player.portraits.set(person, (canvas) => frame.replaceChildren(canvas));
    return frame;
  }

  /** On paper a picture's probabilities stand in tables. */
  tables() {
    return el("div", { class: "printed" }, ...this.list.map((person) => {
      const cell = person.band(person.bands[0])[0];
      return el("section", { class: "card" }, el("h2", { textContent: person.name }), el("table", { class: "facts-table" }, el("tbody", {},
        ...ordered(new Set(Object.keys(cell.p))).map((label) => el("tr", {}, el("th", { textContent: label }), el("td", { class: "num", textContent: percent(cell.p[label]) }))))));
    }));
  }

  /** Stretches on which the engine does not want to say anything, or its parts contradict each other, with the reasons. */
  doubts() {
    const unsure = this.stretches((cell) => cell.uncertain?.message);
    const strong = this.stretches((cell, person) => (cell.disagreement >= STRONG && !cell.uncertain ? contradicting(person, cell) : null));
    const count = (runs, what) => `${plural(runs.length, `${what} stretch`).replace(/stretchs$/, "stretches")}`;
    return el("div", {}, ...[[unsure, "uncertain"], [strong, "contradictory"]].map(([runs, what]) => (!runs.length || this.still ? null
      : el("details", { class: "card" }, el("summary", { textContent: count(runs, what) }),
        el("ul", { class: "doubts" }, ...runs.slice(0, 500).map(({ person, start, end, why }) => el("li", {},
          el("button", { type: "button", class: "jump", textContent: `${clock(start, 1)} – ${clock(end, 1)}`, onclick: () => { this.choose(person); this.player.seek(start); } }),
          ` ${person.name}: ${why}`)))))));
  }

  /** Touching cells of which the same is said: [{person, start, end, why}]. */
  stretches(say) {
    const runs = [];
    for (const person of this.list) {
      for (const cell of person.lanes.fused) {
        const why = say(cell, person);
        if (!why) continue;
        const last = runs[runs.length - 1];
        if (last && last.person === person && last.why === why && cell.start - last.end < 2e-3) last.end = cell.end;
        else runs.push({ person, start: cell.start, end: cell.end, why });
      }
    }
    return runs;
  }

  about() {
    const { provenance, media } = this.timeline;
    const made = [["emofuse", provenance.version], ...Object.entries(provenance.models).map(([key, id]) => [NAMES[key] ?? key, id]),
      ...Object.entries(provenance.components ?? {}), ...(media.path ? [["file", media.path]] : [])];
    const settings = [...flat(provenance.settings ?? {})];
    return [
      el("details", { class: "card" }, el("summary", { textContent: "How to read this" }),
        el("dl", { class: "how" }, ...HOW.flatMap(([term, text]) => [el("dt", { textContent: term }), el("dd", { textContent: text })]))),
      el("details", { class: "card" }, el("summary", { textContent: "Models and settings" }), table(made),
        settings.length ? el("details", { class: "settings" }, el("summary", { textContent: plural(settings.length, "setting") }), table(settings)) : null),
    ];
  }

  // ---- behaviour
  choose(person) {
    this.chosen = person;
    const several = this.list.length > 1;
    this.player.chosen = several ? person : null;
    for (const tab of this.tabs.querySelectorAll("button")) tab.setAttribute("aria-pressed", String(tab.dataset.subject === person?.subject));
    for (const { row } of this.lanes?.charts ?? []) row.classList.toggle("chosen", several && row.dataset.subject === person?.subject);
    this.player.draw();
    this.setTime(this.player.shown ?? 0);
  }

  setTime(t) {
    const person = this.chosen;
    this.lanes?.setTime(t);
    this.editor?.moved();
    if (!person) { this.bars?.show(null, {}); return; }
    const late = Math.min(t, this.duration - 1e-6);
    const [main] = person.bands, holds = this.still ? (cells) => cells[0] ?? null : (cells) => at(cells, late);
    this.bars.show(main ? holds(person.band(main)) : null, Object.fromEntries(MODALITIES.map((key) => [key, holds(person.band(key))])));
    for (const { cell, node } of this.spoken ?? []) {
      const now = cell.start <= late && late < cell.end;
      if (now === node.classList.contains("now")) continue;
      node.classList.toggle("now", now);
      if (now) node.setAttribute("aria-current", "true"); else node.removeAttribute("aria-current");
      if (now) this.transcript.scrollTo({ top: node.offsetTop - this.transcript.offsetTop - 40, behavior: "smooth" });
    }
  }

  /** Draw a waveform where there is sound and it is not too much to fetch. */
  async sound(bytes = this.wave(this.aborter.signal)) {
    try {
      const data = await bytes;
      if (!data) return;
      const { peaks, duration, samples, rate } = await peaksOf(data);
      this.player.setPeaks(peaks);
      this.lanes?.addTrack("sound", WAVE, (pen, x, view, height, colours) => drawPeaks(pen, peaks, duration, x, view, height, colours));
      this.spectrogram(levelsOf(samples, rate), duration);
    } catch {
      // No waveform: the browser cannot decode this sound, or the user has left. Everything else is there.
    }
  }

  /** The sound's frequencies along the time, painted anew when the theme changes. */
  spectrogram(levels, duration) {
    let picture = null, paper = null;
    this.lanes?.addTrack("spectro-\ngram", SPECTRUM, (pen, x, [from, to], height, colours) => {
      if (paper !== colours.empty) [picture, paper] = [pictureOf(levels, colours), colours.empty];
      const scale = levels.columns / duration, end = Math.min(to, duration);
      if (end > from) pen.drawImage(picture, from * scale, 0, (end - from) * scale, picture.height, x(from), 0, x(end) - x(from), height);
    }, `Spectrogram, up to ${HIGHEST / 1000} kHz`);
  }

  opened(file) {
    this.sound(this.onfile(file));
  }

  /** Draw for paper: light, as wide as a page, and low, so that few people fit on one. */
  printing() {
    const root = document.documentElement, { signal } = this.aborter;
    const set = (on) => {
      if (on) root.dataset.printing = ""; else delete root.dataset.printing;
      if (!this.lanes) return;
      this.lanes.area.style.width = on ? "640px" : "";
      this.lanes.low = on;
      this.lanes.drawNow();
    };
    addEventListener("beforeprint", () => set(true), { signal });
    addEventListener("afterprint", () => set(false), { signal });
  }

  key(event) { return (this.editor?.key(event) ?? false) || (this.player?.key(event) ?? false); }
}

/** What the parts of a result say that contradict each other. */
function contradicting(person, cell) {
  return MODALITIES.flatMap((m) => { const part = at(person.lanes[m], cell.start); return part ? [`${NAMES[m]} ${part.label}`] : []; }).join(", ");
}

const spaced = (text) => text.replace(/[ \u00a0]?%/g, "\u00a0%");

function tagOf(cell) {
  return `${cell.uncertain ? "uncertain" : `${cell.label} ${percent(cell.confidence)}`} · ${clock(cell.start)}`;
}

function table(rows) {
  return el("table", { class: "facts-table" }, el("tbody", {}, ...rows.map(([key, value]) =>
    el("tr", {}, el("th", { scope: "row", textContent: key }), el("td", { textContent: String(value) })))));
}

/** Settings within settings as dotted names. */
function* flat(settings, before = "") {
  for (const [key, value] of Object.entries(settings)) {
    if (value !== null && typeof value === "object" && !Array.isArray(value)) yield* flat(value, `${before}${key}.`);
    else yield [before + key, Array.isArray(value) ? value.join(", ") : value];
  }
}

function drawPeaks(pen, peaks, duration, x, [from, to], height, colours) {
  pen.fillStyle = colours.soft;
  for (let place = x.from; place < x.to; place += 2) {
    const t = from + ((place - x.from) / (x.to - x.from)) * (to - from);
    const peak = peaks[Math.floor((t / duration) * peaks.length)] ?? 0;
    const tall = Math.max(1, peak * (height - 6));
    pen.fillRect(place, (height - tall) / 2, 1.4, tall);
  }
}
