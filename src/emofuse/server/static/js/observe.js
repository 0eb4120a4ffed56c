// A face, a voice and words together: what each says, and how they fuse with weights that the user sets.
import * as api from "./api.js";
import { Bars } from "../viewer/bars.js";
import { button, el, honest, toggle } from "../viewer/dom.js";
import { MODALITIES, NAMES, percent } from "../viewer/format.js";
import { COLOURS } from "../viewer/vocabulary.js";

const USUAL = 100; // of the sliders, if the server's own weights are not what is wanted

export class Observe {
  constructor() {
    this.image = el("input", { type: "file", accept: "image/*", id: "observe-image" });
    this.audio = el("input", { type: "file", accept: "audio/*", id: "observe-audio" });
    this.words = el("textarea", { id: "observe-text", rows: 2, placeholder: "What is said, if you like" });
    this.crop = toggle("The picture is nothing but a face", false, () => {});
    this.problem = el("p", { class: "error", role: "alert" });
    this.go = el("button", { type: "submit", class: "primary big", textContent: "Observe" });
    const form = el("form", { class: "card intake", onsubmit: (event) => { event.preventDefault(); this.send(); } },
      el("div", { class: "fields" }, field("Face: a picture", this.image), field("Voice: a recording", this.audio)),
      field("Words", this.words), this.crop, this.problem, el("div", { class: "row-end" }, this.go));
    this.result = el("div", {});
    this.root = el("div", { class: "start" }, el("div", { class: "hero" }, el("h1", { textContent: "Face and voice together" }),
      el("p", { textContent: "One result of a picture, a recording and words, and what each says by itself." })), form, this.result, honest());
    this.aborter = new AbortController();
  }

  async send() {
    const form = new FormData(), words = this.words.value.trim();
    for (const { files } of [this.image, this.audio]) if (files.length) form.append("file", files[0]);
    if (words) form.append("text", words);
    this.problem.textContent = "";
    this.go.disabled = true;
    try {
      this.show(await api.observe(form, this.crop.querySelector("input").checked, this.aborter.signal));
    } catch (error) {
      if (error.name !== "AbortError") this.problem.textContent = error.message;
    } finally {
      this.go.disabled = false;
    }
  }

  show(found) {
    this.found = found;
    const present = MODALITIES.filter((m) => found[m]);
    const labels = Object.keys(COLOURS).filter((label) => [...present, "fused"].some((m) => found[m] && label in found[m].probabilities));
    this.bars = new Bars(labels);
    this.sliders = Object.fromEntries(present.map((m) => [m, this.slider(m)]));
    this.usual = button(null, "Reset", () => this.reset());
    const weights = present.length > 1 ? el("section", { class: "card weights" }, el("h2", { textContent: "How much each counts" }),
      ...present.map((m) => el("div", { class: "weight" }, el("label", { for: `weight-${m}`, textContent: NAMES[m] }), this.sliders[m].input, this.sliders[m].value)), this.usual) : null;
    this.result.replaceChildren(...found.notes.map((note) => el("p", { class: "note", textContent: note.message })),
      el("section", { class: "card side" }, this.bars.root), ...(weights ? [weights] : []));
    this.draw();
    this.settle();
    this.result.scrollIntoView({ behavior: "smooth", block: "nearest" });
  }

  slider(modality) {
    const value = el("output", { for: `weight-${modality}` });
    const input = el("input", { type: "range", min: 0, max: 100, step: 1, id: `weight-${modality}`, oninput: () => this.refuse() });
    return { input, value };
  }

  /** Put the sliders where the weights of the result are. */
  settle() {
    const most = Math.max(...Object.values(this.found.fused?.weights ?? {}), 1e-9);
    for (const [m, { input }] of Object.entries(this.sliders)) input.value = Math.round(USUAL * (this.found.fused?.weights?.[m] ?? 0) / most);
    this.say();
  }

  say() {
    for (const [m, { value }] of Object.entries(this.sliders)) value.textContent = percent(this.found.fused?.weights?.[m] ?? 0);
  }

  /** Fuse again; of many moves of a slider only the last one is asked for. */
  async refuse(weights = Object.fromEntries(Object.entries(this.sliders).map(([m, { input }]) => [m, Number(input.value) / 100]))) {
    if (weights && !Object.values(weights).some(Boolean)) return;
    this.wanted = { weights };
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.wanted) {
        const { weights: now } = this.wanted;
        this.wanted = null;
        const { fused } = await api.fuse(this.found, now, this.aborter.signal);
        this.found = { ...this.found, fused };
        this.draw();
        this.say();
      }
    } catch (error) {
      if (error.name !== "AbortError") this.problem.textContent = error.message;
    } finally {
      this.asking = false;
    }
  }

  async reset() {
    await this.refuse(null);
    this.settle();
  }

  draw() {
    const { fused } = this.found;
    const cell = fused && { ...fused, p: fused.probabilities, shares: fused.weights, uncertain: fused.uncertain ?? null };
    this.bars.show(cell, Object.fromEntries(MODALITIES.map((m) => [m, this.found[m] ? { p: this.found[m].probabilities } : null])));
  }

  close() { this.aborter.abort(); }
  key() { return false; }
}

const field = (name, input) => el("div", { class: "field" }, el("label", { for: input.id, textContent: name }), input);
