// Which models run, what they were taught on, how good they are and what they cannot do.
import * as api from "./api.js";
import { el, honest } from "./dom.js";
import { NAMES, bytes } from "./format.js";

const METRICS = { uar: "mean recall (UAR)", wa: "accuracy", accuracy: "accuracy", f1: "F1", macro_f1: "macro F1", ece: "calibration error (ECE)" };

export class Models {
  constructor() {
    this.root = el("div", { class: "models" }, el("div", { class: "hero" }, el("h1", { textContent: "Models" }),
      el("p", { textContent: "What runs here, where it learnt, how well it does, and what it cannot do." })));
    this.load();
  }

  async load() {
    let told;
    try { told = await api.models(); } catch (error) {
      this.root.append(el("p", { class: "note", role: "alert", textContent: error.message }));
      return;
    }
    const running = told.models.filter((m) => m.in_use), others = told.models.filter((m) => !m.in_use);
    this.root.append(this.pipeline(told), honest(), ...running.map(card));
    if (others.length) this.root.append(el("h2", { textContent: "Known, but not in use here" }), ...others.map(card));
  }

  pipeline({ pipeline, limits }) {
    return el("section", { class: "card" }, el("h2", { textContent: "How it fits together" }),
      el("dl", { class: "pairs" }, ...Object.entries(pipeline).flatMap(([role, name]) => [el("dt", { textContent: role }), el("dd", { textContent: String(name) })])),
      el("ul", { class: "limits" }, ...limits.map((line) => el("li", { textContent: line }))));
  }

  close() {}
  key() { return false; }
}

function value({ name, value: v }) {
  return typeof v === "number" ? (v >= 0 && v <= 1 ? `${(100 * v).toFixed(1)}\u00a0%` : String(Number(v.toPrecision(4)))) : String(v ?? name);
}

function card(model) {
  const rows = model.metrics.map((m) => el("tr", {}, el("th", { scope: "row", textContent: METRICS[m.name] ?? m.name }),
    el("td", { class: "num", textContent: value(m) }), el("td", { textContent: [m.corpus, m.split].filter(Boolean).join(", ") }), el("td", { class: "small", textContent: m.protocol ?? "" })));
  const facts = [model.licence, model.bytes ? bytes(model.bytes) : null, model.where].filter(Boolean).join(" · ");
  return el("article", { class: "card model" },
    el("header", {}, el("span", { class: "kind", textContent: NAMES[model.modality] ?? model.modality }), el("h3", { textContent: model.id })),
    el("p", { textContent: model.summary }), el("p", { class: "small", textContent: facts }),
    model.labels?.length ? el("p", { class: "small", textContent: `says: ${model.labels.join(", ")}` }) : null,
    model.notes?.length ? el("div", {}, el("h4", { textContent: "How it was made, and what to expect" }), el("ul", { class: "limits" }, ...model.notes.map((note) => el("li", { textContent: note })))) : null,
    rows.length ? el("details", {}, el("summary", { textContent: "Measured" }), el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...["figure", "value", "on", "how"].map((name) => el("th", { scope: "col", textContent: name })))), el("tbody", {}, ...rows)))) : null,
    model.data?.length ? el("details", {}, el("summary", { textContent: "What it learnt from, and licences" }), el("ul", { class: "limits" }, ...model.data.map((d) =>
      el("li", {}, el("b", { textContent: d.name }), [d.licence, d.used, d.citation].filter(Boolean).map((text) => ` · ${text}`).join(""))))) : null,
    model.files?.length ? el("details", {}, el("summary", { textContent: "Files" }), el("ul", { class: "limits files" }, ...model.files.map((f) =>
      el("li", {}, el("b", { textContent: f.name }), ` · ${bytes(f.bytes ?? 0)} · sha256 `, el("code", { textContent: f.sha256 ?? "–" }))))) : null);
}
