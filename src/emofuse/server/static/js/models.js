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

const FOR = { face: "faces in pictures and videos", speech: "how voices sound", text: "what is said", fused: "the mood of groups" };
/** What parts are for that do not judge expressions, by all that they say. */
const PARTS = { face: "finding faces", words: "recognizing speech" };

/** What a model is like with people whom none of its corpora had. */
function strangers({ strangers: found, labels }) {
  if (!found) return null;
  const [low, high] = [found.low, found.high].map((v) => Math.round(100 * v)), chance = Math.round(100 / labels.length);
  return el("p", { class: "strangers" }, el("b", { textContent: low === high ? `${low}\u00a0%` : `${low} to ${high}\u00a0%` }),
    ` of each expression found, on average, in recordings of strangers (${found.on.join(", ")}); guessing would find ${chance}\u00a0%.`);
}

const folded = (title, ...parts) => el("details", {}, el("summary", { textContent: title }), ...parts);

function card(model) {
  const says = (model.labels ?? []).join(", "), facts = [["for", PARTS[says] ?? FOR[model.modality] ?? model.modality], ["says", PARTS[says] ? null : says], ["licence", model.licence],
    ["size", model.bytes ? bytes(model.bytes) : null], ["where", model.where]].filter(([, value]) => value);
  return el("article", { class: "card model" },
    el("header", {}, el("span", { class: "kind", textContent: NAMES[model.modality] ?? model.modality }), el("h3", { textContent: model.id })),
    el("p", { textContent: `${model.summary}.` }), strangers(model),
    el("dl", { class: "pairs" }, ...facts.flatMap(([name, value]) => [el("dt", { textContent: name }), el("dd", { textContent: value })])),
    model.figures.rows.length ? figures(model.figures) : null,
    model.notes?.length ? folded("How it was made, and what to expect", el("ul", { class: "limits" }, ...model.notes.map((note) => el("li", { textContent: note })))) : null,
    model.data?.length ? folded("Training data and licenses", el("ul", { class: "limits" }, ...model.data.map((d) =>
      el("li", {}, el("b", { textContent: d.name }), [d.licence, d.used, d.citation].filter(Boolean).map((text) => ` · ${text}`).join(""))))) : null,
    model.files?.length ? folded("Files", el("ul", { class: "limits files" }, ...model.files.map((f) =>
      el("li", {}, el("b", { textContent: f.name }), ` · ${f.bytes ? bytes(f.bytes) : "size unknown"} · sha256 `, el("code", { textContent: f.sha256 || "not published: the first download is trusted" }))))) : null);
}
