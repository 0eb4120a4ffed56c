// What may be chosen about an analysis: its parts, models, fusion and how much each part counts.
import * as api from "./api.js";
import { button, el, toggle } from "../viewer/dom.js";
import { NAMES } from "../viewer/format.js";

const PARTS = ["face", "speech", "text"];
const ENGINES = { auto: "the best there is", none: "none" };
const FUSIONS = { logpool: "log-linear pool", weighted: "weighted mean", confidence: "weighted by certainty", feature: "net on features", attention: "attention net", hybrid: "hybrid net", transformer: "transformer" };

export class Options {
  constructor() {
    this.parts = Object.fromEntries(PARTS.map((key) => [key, true]));
    this.given = {}; // option → value; what is as the server has it is left out
    this.more = el("div", { class: "more" });
    this.root = el("details", { class: "options", ontoggle: () => this.load() }, el("summary", { textContent: "Options" }),
      el("div", { class: "toggles" },
        ...PARTS.map((key) => toggle(NAMES[key], true, (on) => { this.parts[key] = on; this.weigh(); })),
        toggle("transcribe speech if no text is given", true, (on) => { this.silent = !on; }),
        toggle("tell who is who", true, (on) => this.put("identity", on ? null : "no")),
        toggle("each audio channel is a speaker", false, (on) => this.put("channels", on ? "speakers" : null)),
        toggle("the mood of the group, too", false, (on) => this.put("group", on ? "yes" : null))),
      this.more);
  }

  /** What is wrong with the choice, in words; null: nothing. */
  get problem() { return PARTS.some((key) => this.parts[key]) ? null : "Choose at least one of face, voice and words."; }

  /** Put what was chosen into a form. */
  fill(form) {
    const chosen = PARTS.filter((key) => this.parts[key]);
    if (chosen.length < PARTS.length) form.append("modalities", chosen.join(","));
    for (const [name, value] of Object.entries({ ...this.given, ...(this.silent ? { asr: "none" } : {}) })) form.append(name, value);
    if (this.moved) form.append("weights", chosen.map((key) => `${key}=${Number(this.sliders[key].input.value) / 100}`).join(","));
  }

  put(name, value) {
    if (value === null || value === "") delete this.given[name]; else this.given[name] = value;
  }

  /** Ask the server what there is to choose, once somebody looks. */
  async load() {
    if (this.asked || !this.root.open) return;
    this.asked = true;
    try { this.build(await api.options()); } catch (error) {
      this.asked = false; // opened again, it is asked again
      this.more.replaceChildren(el("p", { class: "error", textContent: error.message }));
    }
  }

  build(choices) {
    const { defaults } = choices;
    this.fusions = Object.fromEntries(choices.fusion.map((choice) => [choice.name, choice.weights]));
    this.usual = { [defaults.fusion]: defaults.weights };
    this.fusion = defaults.fusion;
    this.sliders = Object.fromEntries(PARTS.filter((key) => choices.modalities.includes(key)).map((key) => [key, this.slider(key)]));
    const models = PARTS.filter((key) => choices.models[key]?.length > 1)
      .map((key) => this.select(`${key}_model`, `Model: ${NAMES[key]}`, choices.models[key], {}, defaults[`${key}_model`]));
    const slot = el("input", { type: "number", id: "option-slot", min: 0.1, max: 60, step: "any", value: defaults.slot, oninput: () => this.put("slot", Number(slot.value) === defaults.slot ? null : slot.value) });
    const track = el("input", { type: "text", id: "option-track", placeholder: "the first with a voice", maxLength: 8, oninput: () => this.put("audio_track", track.value.trim()) });
    this.weights = el("fieldset", { class: "weights" }, el("legend", { textContent: "How much each counts" }),
      ...Object.entries(this.sliders).map(([key, { input, value }]) => el("div", { class: "weight" }, el("label", { for: input.id, textContent: NAMES[key] }), input, value)),
      this.reset = button(null, "Reset", () => this.settle()));
    this.more.replaceChildren(
      el("div", { class: "fields" },
        this.select("detector", "Face detector", choices.detectors, {}, defaults.detector), ...models,
        choices.asr.length > 2 ? this.select("asr", "Speech recognizer", choices.asr, ENGINES, defaults.asr) : null,
        this.select("fusion", "Fusion", Object.keys(this.fusions), FUSIONS, defaults.fusion, (name) => { this.fusion = name; this.settle(); }),
        field("Slot length (seconds)", slot), field("Audio track: number or language", track)),
      this.weights);
    this.settle();
  }

  select(name, title, values, names, usual, told = () => {}) {
    const input = el("select", { id: `option-${name}`, onchange: () => { this.put(name, input.value === usual ? null : input.value); told(input.value); } },
      ...values.map((value) => el("option", { value, textContent: names[value] ?? value, selected: value === usual })));
    return field(title, input);
  }

  slider(key) {
    const input = el("input", { type: "range", min: 0, max: 100, step: 1, id: `option-weight-${key}`, oninput: () => { this.moved = true; this.weigh(); } });
    return { input, value: el("output", { for: input.id }) };
  }

  /** Put the sliders where the strategy has them by itself; a net that learned its weights takes none. */
  settle() {
    const weights = this.usual[this.fusion] ?? this.fusions[this.fusion];
    this.moved = false;
    this.weights.hidden = !weights;
    const most = Math.max(...Object.values(weights ?? {}), 1e-9);
    for (const [key, { input }] of Object.entries(this.sliders)) input.value = Math.round(100 * (weights?.[key] ?? 0) / most);
    this.weigh();
  }

  /** Say each part's share of what is left. */
  weigh() {
    if (!this.sliders) return;
    const counted = Object.entries(this.sliders).map(([key, { input }]) => (this.parts[key] ? Number(input.value) : 0));
    const sum = counted.reduce((a, b) => a + b, 0);
    for (const [i, [key, { input, value }]] of Object.entries(this.sliders).entries()) {
      input.disabled = !this.parts[key];
      value.textContent = sum ? `${Math.round(100 * counted[i] / sum)} %` : "–";
    }
    this.reset.disabled = !this.moved;
  }
}

const field = (name, input) => el("div", { class: "field" }, el("label", { for: input.id, textContent: name }), input);
