// Several uploads at once: what became of each, in one table.
import * as api from "./api.js";
import { shareBar } from "../viewer/bars.js";
import { el, honest, icon } from "../viewer/dom.js";
import { clock, percent, plural } from "../viewer/format.js";

const EVERY = 1500; // milliseconds between two looks at what is not done yet
const SHOWN = 4; // people of a file
const BRIEF = 2; // seconds below which somebody is shown faintly
const STATES = { QUEUED: "waiting", IN_PROGRESS: "running", CANCELLED: "cancelled" };

/** Uploads that were refused, [name, why], for the overview of the others. */
export const refused = [];

export class Overview {
  constructor(ids) {
    this.rows = new Map(ids.map((id) => [id, new Row(id)]));
    this.count = el("p", { role: "status" });
    const heads = ["File", "Length", "Who", "Expressed", "Certain"].map((text) => el("th", { scope: "col", textContent: text }));
    const failed = refused.splice(0).map(([name, why]) => el("tr", {}, el("th", { scope: "row", textContent: name }), el("td", { colSpan: 4, class: "state", dataset: { state: "FAILED" }, textContent: why })));
    this.root = el("div", { class: "overview" }, el("div", { class: "job-head" }, el("a", { class: "back", href: "#/" }, icon("back"), "All results"), el("h1", { textContent: plural(ids.length + failed.length, "upload") })),
      this.count, el("section", { class: "card scroll", tabIndex: 0, "aria-label": "Uploads" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), ...[...this.rows.values()].map((row) => row.root), el("tbody", {}, ...failed))), honest());
    this.failed = failed.length;
    this.look();
  }

  async look() {
    const open = [...this.rows.values()].filter((row) => !row.done);
    await Promise.all(open.slice(0, 8).map((row) => row.look()));
    if (this.closed) return;
    const all = [...this.rows.values()], done = all.filter((row) => row.done).length;
    this.count.textContent = done === all.length ? `All are done${this.failed ? `; ${plural(this.failed, "file")} could not be taken` : ""}.` : `${done} of ${all.length} are done.`;
    if (done < all.length) this.timer = setTimeout(() => this.look(), EVERY);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }

  key() { return false; }
}

/** A file: a line for each person. */
class Row {
  constructor(id) {
    Object.assign(this, { id, done: false, name: "…", length: "" });
    this.root = el("tbody", {});
    this.lines([[]]);
  }

  async look() {
    try {
      const job = await api.job(this.id);
      this.name = job.inputs.map((input) => input.name).join(" + ") || job.media.name;
      this.length = job.media.duration ? clock(job.media.duration) : "";
      if (job.state === "COMPLETED") this.tell(await api.summary(this.id));
      else if (job.state === "FAILED") this.fail(job.error?.message ?? "The analysis failed.");
      else this.wait(job);
      this.done = !["QUEUED", "IN_PROGRESS"].includes(job.state);
    } catch (error) {
      this.fail(error.message);
      this.done = error.status === 404;
    }
  }

  /** Show lines of cells beside the file's name and length. */
  lines(lines) {
    const rowSpan = lines.length;
    this.root.replaceChildren(...lines.map((cells, i) => el("tr", {}, ...(i ? [] : [
      el("th", { scope: "rowgroup", rowSpan }, el("a", { href: `#/job/${this.id}`, textContent: this.name })), el("td", { class: "num", rowSpan, textContent: this.length })]), ...cells)));
  }

  wait({ state, progress }) {
    const bar = state === "IN_PROGRESS" ? el("progress", { max: 1, value: progress ?? undefined, "aria-label": `Progress of ${this.name}` }) : null;
    this.lines([[el("td", { textContent: STATES[state] }), el("td", { class: "said" }, bar), el("td", {})]]);
  }

  fail(message) { this.lines([[el("td", { colSpan: 3, class: "state", dataset: { state: "FAILED" }, textContent: message })]]); }

  tell({ people }) {
    const lines = people.slice(0, SHOWN).map((p) => [el("td", { class: p.present > 0 && p.present < BRIEF ? "brief" : "", textContent: p.name }),
      el("td", { class: "said" }, shareBar(p), el("span", { class: "small", textContent: p.label === "uncertain" ? "uncertain" : `${p.label} ${percent(p.shares[p.label] ?? 0)}` })),
      el("td", { class: "num", textContent: percent(1 - p.uncertain) })]);
    if (people.length > SHOWN) lines.push([el("td", { colSpan: 3, class: "small", textContent: `and ${people.length - SHOWN} more` })]);
    this.lines(lines.length ? lines : [[el("td", { colSpan: 3, textContent: "nobody was found" })]]);
  }
}
