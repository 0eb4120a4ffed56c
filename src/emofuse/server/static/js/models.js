// Which models run, what they were taught on, how good they are and what they cannot do.
import * as api from "./api.js";
import { el, honest } from "../viewer/dom.js";
import { NAMES, bytes } from "../viewer/format.js";

const LONG = { UAR: "mean recall of the labels", ECE: "expected calibration error: how far confidence and correctness are apart" };

export class Models {
  constructor() {
    this.root = el("div", { class: "models" }, el("div", { class: "hero" }, el("h1", { textContent: "Models" }),
      el("p", { textContent: "What runs here, what it was trained on, how well it does, and what it cannot do." })));
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

/** What a model was measured on, a row each; how, as a note that several rows may share. */
function figures({ measures, rows }) {
  const notes = [...new Set(rows.map((row) => row.how))];
  const heads = Object.values(measures).map((name) => el("th", { scope: "col", class: "num", textContent: name, title: LONG[name] ?? name }));
  const body = rows.map(({ on, values, how }) => el("tr", {}, el("th", { scope: "row", textContent: on }),
    ...Object.keys(measures).map((m) => el("td", { class: "num", textContent: m in values ? `${(100 * values[m]).toFixed(1)}\u00a0%` : "" })),
    el("td", { class: "num small", title: how }, el("sup", { textContent: notes.indexOf(how) + 1 }))));
  return el("details", {}, el("summary", { textContent: "Measured" }),
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col", textContent: "on" }), ...heads, el("th", { scope: "col", class: "num", textContent: "how" }))), el("tbody", {}, ...body))),
    el("ol", { class: "limits small" }, ...notes.map((note) => el("li", { textContent: note }))));
}

function card(model) {
  const facts = [model.licence, model.bytes ? bytes(model.bytes) : null, model.where].filter(Boolean).join(" · ");
  return el("article", { class: "card model" },
    el("header", {}, el("span", { class: "kind", textContent: NAMES[model.modality] ?? model.modality }), el("h3", { textContent: model.id })),
    el("p", { textContent: model.summary }), el("p", { class: "small", textContent: facts }),
    model.labels?.length ? el("p", { class: "small", textContent: `says: ${model.labels.join(", ")}` }) : null,
    model.notes?.length ? el("div", {}, el("h4", { textContent: "How it was made, and what to expect" }), el("ul", { class: "limits" }, ...model.notes.map((note) => el("li", { textContent: note })))) : null,
    model.figures.rows.length ? figures(model.figures) : null,
    model.data?.length ? el("details", {}, el("summary", { textContent: "Training data and licenses" }), el("ul", { class: "limits" }, ...model.data.map((d) =>
      el("li", {}, el("b", { textContent: d.name }), [d.licence, d.used, d.citation].filter(Boolean).map((text) => ` · ${text}`).join(""))))) : null,
    model.files?.length ? el("details", {}, el("summary", { textContent: "Files" }), el("ul", { class: "limits files" }, ...model.files.map((f) =>
      el("li", {}, el("b", { textContent: f.name }), ` · ${f.bytes ? bytes(f.bytes) : "size unknown"} · sha256 `, el("code", { textContent: f.sha256 || "not published: the first download is trusted" }))))) : null);
}
