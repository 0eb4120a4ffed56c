// One finished job: player, timeline, bars at the playhead, words, people, downloads.
import * as api from "./api.js";
import { Bars, shareBar } from "./bars.js";
import { colourOf } from "./colour.js";
import { el, honest, icon } from "./dom.js";
import { MODALITIES, NAMES, bytes, clock, percent, plural } from "./format.js";
import { Lanes } from "./lanes.js";
import { People, at, ordered } from "./people.js";
import { Player, peaksOf } from "./player.js";

const WAVE_BYTES = 64e6; // larger uploads are not fetched whole for a waveform
const FORMATS = { json: "everything, for programs", csv: "for spreadsheets", html: "a page to keep", zip: "all of them" };

export class Result {
  constructor(job, timeline) {
    Object.assign(this, { job, timeline });
    this.people = new People(timeline.estimates);
    this.chosen = this.people.list[0] ?? null;
    const ends = timeline.estimates.map((e) => e.end);
    this.duration = ends.reduce((a, b) => Math.max(a, b), timeline.duration || 0);
    this.kind = timeline.media.kind;
    if (this.kind === "text") for (const person of this.people.list) person.name = "Text";
    this.still = timeline.media.kind === "image" && !job.inputs.some((input) => input.kind === "audio");
    this.aborter = new AbortController();
    this.root = el("div", { class: "result" });
    this.build();
  }

  build() {
    const { people } = this;
    if (!people.list.length) {
      this.root.append(this.facts(), el("p", { class: "card none" },
        "No face, no voice and no words were found, so there is nothing to show. That is a result, not an error."), this.playerPart(), this.downloads(), honest());
      return;
    }
    this.bars = new Bars(ordered(people.labels));
    this.tabs = people.list.length > 1 ? this.tabBar() : el("h2", { textContent: people.list[0].name });
    this.side = el("section", { class: "card side", "aria-label": "At the playhead" }, this.tabs, this.bars.root);
    const stage = this.playerPart();
    this.transcript = this.sentences();
    const text = this.kind === "text", said = this.transcript && !text ? this.spokenPart() : null;
    const left = text ? el("div", { class: "card readout" }, this.transcript, stage) : el("div", { class: "beside" }, stage, this.kind === "audio" ? said : null);
    const inShort = this.peoplePart();
    this.root.append(this.facts(), ...this.notes(),
      el("div", { class: "watch" }, left, el("div", { class: "beside" }, this.side, this.kind === "audio" ? null : said, this.still ? inShort : null)));
    if (!this.still) this.root.append(this.timelinePart(), inShort);
    this.root.append(...[this.doubts()].filter(Boolean), this.downloads(), honest(), this.provenance());
    this.choose(this.chosen);
    const first = this.people.list[0].lanes.fused[0]?.start ?? 0;
    if (first > 0 && !this.still) this.player.seek(first + 1e-3); else this.player.tell(0);
    this.sound();
  }

  close() {
    this.aborter.abort();
    this.player?.close();
    this.lanes?.close();
  }

  // ---- parts
  facts() {
    const { media } = this.timeline, facts = [];
    if (this.kind === "text") facts.push("times are those of reading it aloud");
    else if (!this.still) facts.push(clock(this.duration, this.duration < 60 ? 1 : 0));
    if (media.video) facts.push(`${media.video.width} × ${media.video.height}${media.video.fps ? `, ${Number(media.video.fps.toFixed(2))} fps` : ""}`);
    if (media.audio) facts.push(`sound ${Number((media.audio.rate / 1000).toFixed(1))} kHz`);
    if (media.video || this.kind === "image") facts.push(plural(this.people.faces.length, "face"));
    if (this.people.sentences.length) facts.push(plural(this.people.sentences.length, "sentence"));
    return el("ul", { class: "facts" }, ...facts.map((fact) => el("li", { textContent: fact })));
  }

  notes() {
    return this.timeline.notes.map(({ message, at: t }) =>
      el("p", { class: "note", textContent: t === null ? message : `${message} (at ${clock(t)})` }));
  }

  playerPart() {
    const { job, timeline } = this, sources = {};
    job.inputs.forEach((input, i) => { if (["video", "audio", "image"].includes(input.kind)) sources[input.kind] ??= api.mediaAddress(job.id, i); });
    const shape = timeline.media.video ? [timeline.media.video.width, timeline.media.video.height] : null;
    this.player = new Player({
      sources, shape, duration: this.still ? 0 : this.duration, people: this.people,
      ontime: (t) => this.setTime(t), onpick: (person) => this.choose(person),
    });
    return this.player.root;
  }

  timelinePart() {
    this.lanes = new Lanes({ duration: this.duration, onseek: (t) => this.player.seek(t), onselect: (person) => this.choose(person) });
    this.lanes.setPeople(this.people.list, this.people.labels);
    this.lanes.show(0, this.duration);
    return el("section", { class: "card", "aria-label": "Timeline" }, el("h2", { textContent: "Timeline" }), this.lanes.root,
      el("p", { class: "small keys", textContent: "Click or drag to go there. Space plays, ← → move by half a second (with Shift by five), + and − zoom." }));
  }

  spokenPart() {
    return el("section", { class: "card" }, el("h2", { textContent: "What was said" }),
      el("p", { class: "small", textContent: this.wordsFrom() }), this.transcript);
  }

  tabBar() {
    return el("div", { class: "tabs", role: "group", "aria-label": "Person" }, ...this.people.list.map((person) =>
      el("button", { type: "button", textContent: person.name, dataset: { subject: person.subject }, onclick: () => this.choose(person) })));
  }

  sentences() {
    const all = this.people.sentences;
    if (!all.length) return null;
    this.spoken = all.map((cell) => {
      const node = el("button", { type: "button", class: `sentence${cell.uncertain ? " unsure" : ""}`, style: { "--tint": colourOf(cell.label) }, onclick: () => this.player.seek(cell.start + 1e-3) },
        el("span", { class: "said", textContent: cell.text }),
        el("span", { class: "tag", textContent: `${cell.uncertain ? "uncertain" : `${cell.label} ${percent(cell.confidence)}`} · ${clock(cell.start)}` }));
      return { cell, node };
    });
    return el("div", { class: "transcript" }, ...this.spoken.map(({ node }) => node));
  }

  wordsFrom() {
    const given = this.timeline.media.text, recogniser = this.timeline.provenance.components?.asr;
    if (given) return given === "subtitles" ? "From the file's own subtitles." : "From the words that came with it.";
    return recogniser ? `Recognised by ${recogniser}, with errors.` : "";
  }

  peoplePart() {
    const rows = this.people.list.map((person) => {
      const sum = person.summary();
      const main = Object.entries(sum.shares).sort((a, b) => b[1] - a[1])[0];
      const cell = person.lanes.fused[0] ?? person.said.face[0];
      const says = this.still ? `${cell.uncertain ? "uncertain" : cell.label} ${percent(cell.confidence)}`
        : main ? `${main[1] > 0.95 ? `${main[0]} throughout` : `mostly ${main[0]} (${percent(main[1])})`}` : "uncertain";
      const from = person.bands.filter((key) => key !== "fused").map((key) => NAMES[key]).join(" + ");
      const long = this.still || this.kind === "text" ? null : `${person.face ? "seen" : "heard"} for ${clock(sum.present)} of ${clock(this.duration)}`;
      const facts = [long, this.still ? null : `mean confidence ${percent(sum.confidence)}`, `from ${from}`].filter(Boolean).join(" · ");
      return el("li", {}, this.portrait(person),
        el("div", {}, el("p", { class: "says" }, el("b", { textContent: `${person.name}: ` }), says), this.still ? null : shareBar(sum), el("p", { class: "small", textContent: facts })));
    });
    return el("section", { class: "card" }, el("h2", { textContent: "In short" }), el("ul", { class: "people" }, ...rows));
  }

  portrait(person) {
    const frame = el("span", { class: "portrait" }, icon(person.face ? "face" : "audio"));
    if (person.face) this.player.portraits.set(person, (canvas) => frame.replaceChildren(canvas));
    return frame;
  }

  /** Stretches on which the engine does not want to say anything, with its reasons. */
  doubts() {
    const runs = [];
    for (const person of this.people.list) {
      for (const { start, end, uncertain } of person.lanes.fused) {
        if (!uncertain) continue;
        const last = runs[runs.length - 1], why = uncertain.message;
        if (last && last.person === person && last.why === why && start - last.end < 1e-3) last.end = end;
        else runs.push({ person, start, end, why });
      }
    }
    if (!runs.length || this.still) return null;
    return el("details", { class: "card" }, el("summary", { textContent: `${runs.length} uncertain stretch${runs.length === 1 ? "" : "es"}` }),
      el("ul", { class: "doubts" }, ...runs.map(({ person, start, end, why }) => el("li", {},
        el("button", { type: "button", class: "jump", textContent: `${clock(start, 1)} – ${clock(end, 1)}`, onclick: () => { this.choose(person); this.player.seek(start); } }),
        ` ${person.name}: ${why}`))));
  }

  downloads() {
    return el("section", { class: "card" }, el("h2", { textContent: "Take it with you" }),
      el("div", { class: "downloads" }, ...this.job.formats.map((format) =>
        el("a", { class: "download", href: api.resultAddress(this.job.id, format), download: `${this.job.media.name}.${format}` },
          icon("download"), el("b", { textContent: format.toUpperCase() }), el("small", { textContent: FORMATS[format] ?? "" })))),
      el("p", { class: "small", textContent: this.job.expires ? `The upload (${bytes(this.job.media.bytes)}) and its results stay on this server until ${new Date(this.job.expires).toLocaleString()}, or until you delete them.` : "" }));
  }

  provenance() {
    const { provenance } = this.timeline;
    const rows = [["emofuse", provenance.version], ...Object.entries(provenance.models).map(([key, id]) => [NAMES[key] ?? key, id]), ...Object.entries(provenance.components ?? {})];
    return el("details", { class: "card" }, el("summary", { textContent: "What made this, and how to read it" }),
      el("dl", { class: "how" }, ...[
        ["Bands and mix", "The thick band is the result of all evidence together: its colour is the most probable label, and the paler, the less sure. Below it the probabilities of all labels, stacked. The thin bands are what face, voice and words say each by themselves. Hatched stretches are uncertain; grey ones are empty."],
        ["What was said", "A sentence's colour and label are what the words express by themselves, apart from voice and face."],
        ["Uncertain", "The engine rather says nothing than something it cannot stand for: the evidence is too poor, or no expression is much more probable than the others. The bars show what it would have said."],
        ["Share and disagreement", "How much face, voice and words each counted in the result, and how far they contradict each other: 0 % if all say the same. A sarcastic “great” is a typical disagreement."],
        ["Who is who", "“Face 2” is a face followed through the picture, not a known person. Who leaves and comes back may get a new number."],
      ].flatMap(([term, text]) => [el("dt", { textContent: term }), el("dd", { textContent: text })])),
      el("table", { class: "facts-table" }, el("tbody", {}, ...rows.map(([key, value]) => el("tr", {}, el("th", { scope: "row", textContent: key }), el("td", { textContent: String(value) }))))));
  }

  // ---- behaviour
  choose(person) {
    this.chosen = person;
    this.player.chosen = this.people.list.length > 1 ? person : null;
    for (const tab of this.tabs.querySelectorAll?.("button") ?? []) tab.setAttribute("aria-pressed", String(tab.dataset.subject === person.subject));
    for (const { row } of this.lanes?.charts ?? []) row.classList.toggle("chosen", this.people.list.length > 1 && row.dataset.subject === person.subject);
    this.player.draw();
    this.setTime(this.player.shown ?? 0);
  }

  setTime(t) {
    const person = this.chosen;
    if (!person) return;
    this.lanes?.setTime(t);
    const late = Math.min(t, this.duration - 1e-6);
    const fused = at(person.lanes.fused, late) ?? (person.bands.length ? at(person.band(person.bands[0]), late) : null);
    this.bars.show(fused, Object.fromEntries(MODALITIES.map((key) => [key, at(person.band(key), late)])));
    for (const { cell, node } of this.spoken ?? []) {
      const now = cell.start <= late && late < cell.end;
      if (now === node.classList.contains("now")) continue;
      node.classList.toggle("now", now);
      if (now) node.setAttribute("aria-current", "true"); else node.removeAttribute("aria-current");
      if (now) this.transcript.scrollTo({ top: node.offsetTop - this.transcript.offsetTop - 40, behavior: "smooth" });
    }
  }

  /** A waveform where there is sound and it is not too much to fetch. */
  async sound() {
    const index = this.job.inputs.findIndex((input) => input.kind === "audio" || (input.kind === "video" && this.timeline.media.audio));
    if (index < 0 || this.job.inputs[index].bytes > WAVE_BYTES) return;
    try {
      const data = await api.media(this.job.id, index, WAVE_BYTES, this.aborter.signal);
      const { peaks, duration } = await peaksOf(data);
      this.player.setPeaks(peaks);
      this.lanes?.addTrack("sound", 44, (pen, x, view, height, colours) => drawPeaks(pen, peaks, duration, x, view, height, colours));
    } catch {
      // No waveform: the browser cannot decode this sound, or the user has left. Everything else is there.
    }
  }

  key(event) { return this.player?.key(event) ?? false; }
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
