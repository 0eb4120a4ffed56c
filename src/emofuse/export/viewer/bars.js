// What is said of one person at one moment: the result, what each modality says, and how much it counted.
import { colourOf } from "./colour.js";
import { el } from "./dom.js";
import { MODALITIES, NAMES, STRONG, contradiction, percent, signed } from "./format.js";

export class Bars {
  constructor(labels) {
    this.label = el("b", { class: "verdict-label" });
    this.sure = el("span", { class: "verdict-sure" });
    this.dot = el("i", { class: "dot" });
    this.why = el("p", { class: "why" });
    this.affect = el("p", { class: "why affect" });
    this.heads = {};
    this.cells = {};
    this.meter = el("i");
    this.differ = el("p", { class: "differ" });
    this.table = el("table", { class: "bars" });
    this.root = el("div", { class: "reading" },
      el("p", { class: "verdict" }, this.dot, this.label, this.sure), this.why, this.affect, this.table,
      this.disagreement = el("div", { class: "disagreement" }, el("div", { class: "meter" }, this.meter), this.differ));
    this.build(labels);
    this.show(null, {});
  }

  build(labels) {
    this.labels = labels;
    const head = el("tr", {}, el("th", { scope: "col" }, el("span", { class: "sr", textContent: "label" })),
      ...["fused", ...MODALITIES].map((key) => el("th", { scope: "col", class: key, textContent: NAMES[key] })));
    const counts = el("tr", { class: "counts" }, el("th", { scope: "row", textContent: "weight" }), ...["fused", ...MODALITIES].map((key) => {
      this.heads[key] = el("span", {});
      return el("td", { class: key }, this.heads[key]);
    }));
    const body = labels.map((label) => el("tr", {}, el("th", { scope: "row", textContent: label }),
      ...["fused", ...MODALITIES].map((key) => {
        const bar = el("i", { style: { background: colourOf(label) } }), value = el("span", {});
        this.cells[`${key}/${label}`] = { bar, value };
        return el("td", { class: key }, el("div", { class: "bar" }, bar), value);
      })));
    this.table.replaceChildren(el("thead", {}, head), el("tbody", {}, ...body, counts));
  }

  /** Show a result cell and modality → {p, note}; null where nothing is known. */
  show(fused, modalities) {
    this.root.classList.toggle("nothing", !fused);
    this.root.classList.toggle("unsure", Boolean(fused?.uncertain));
    this.label.textContent = fused ? (fused.uncertain ? "uncertain" : fused.label) : "nothing here";
    this.sure.textContent = fused?.hand ? "by hand" : fused && !fused.uncertain ? percent(fused.confidence) : "";
    this.dot.style.background = fused ? colourOf(fused.label) : "transparent";
    this.why.textContent = fused?.hand && fused.found ? `found: ${fused.found}` : fused?.uncertain ? (fused.uncertain.message)
      : fused && Number.isFinite(fused.quality) ? `quality of the evidence ${percent(fused.quality)}` : "";
    const affect = fused?.affect;
    this.affect.hidden = !affect;
    this.affect.textContent = affect ? `valence ${signed(affect.valence)}, arousal ${signed(affect.arousal)}` : "";
    const said = [fused, ...Object.values(modalities)].filter(Boolean);
    for (const label of this.labels) { // a group has moods, people have emotions
      this.cells[`fused/${label}`].bar.closest("tr").hidden = said.length > 0 && !said.some(({ p }) => Object.hasOwn(p, label));
    }
    this.fill("fused", fused?.p, "");
    for (const key of MODALITIES) {
      const share = fused?.shares?.[key];
      this.fill(key, modalities[key]?.p, Number.isFinite(share) ? percent(share) : modalities[key] ? "" : "–");
    }
    const count = Object.keys(modalities).filter((key) => modalities[key]).length;
    const x = count > 1 ? fused?.disagreement : null;
    this.disagreement.hidden = !Number.isFinite(x);
    if (!Number.isFinite(x)) return;
    this.disagreement.classList.toggle("strong", x >= STRONG);
    this.meter.style.width = `${100 * x}%`;
    this.differ.textContent = `disagreement ${percent(x)}: ${contradiction(x)}`;
  }

  fill(key, p, note) {
    this.heads[key].textContent = note;
    for (const label of this.labels) {
      const { bar, value } = this.cells[`${key}/${label}`], v = p?.[label];
      bar.closest("td").classList.toggle("dim", !p);
      bar.style.transform = `scaleX(${v ?? 0})`;
      value.textContent = v === undefined ? "" : percent(v);
    }
  }
}

/** How much of the time each label was the result, as one bar. */
export function shareBar({ shares, uncertain }) {
  const parts = Object.entries(shares).sort((a, b) => b[1] - a[1]);
  const text = [...parts.map(([label, v]) => `${label} ${percent(v)}`), ...(uncertain > 0.005 ? [`uncertain ${percent(uncertain)}`] : [])];
  return el("div", { class: "shares", role: "img", "aria-label": text.join(", "), title: text.join(", ") },
    ...parts.map(([label, v]) => el("span", { style: { width: `${100 * v}%`, background: colourOf(label) } })),
    uncertain > 0.005 ? el("span", { class: "hatched", style: { width: `${100 * uncertain}%` } }) : null);
}
