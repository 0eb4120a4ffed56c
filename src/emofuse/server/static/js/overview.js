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
      this.count, el("section", { class: "card scroll", tabIndex: 0, "aria-label": "Uploads" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...[...this.rows.values()].map((row) => row.root), ...failed))), honest());
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

class Row {
  constructor(id) {
    Object.assign(this, { id, done: false });
    this.name = el("a", { href: `#/job/${id}`, textContent: "…" });
    this.cells = ["num", "", "said", "num"].map((name) => el("td", { class: name }));
    this.root = el("tr", {}, el("th", { scope: "row" }, this.name), ...this.cells);
  }

  async look() {
    try {
      const job = await api.job(this.id);
      this.name.textContent = job.inputs.map((input) => input.name).join(" + ") || job.media.name;
      this.cells[0].textContent = job.media.duration ? clock(job.media.duration) : "";
      if (job.state === "COMPLETED") this.tell(await api.summary(this.id));
      else if (job.state === "FAILED") this.fail(job.error?.message ?? "The analysis failed.");
      else this.wait(job);
      this.done = !["QUEUED", "IN_PROGRESS"].includes(job.state);
    } catch (error) {
      this.fail(error.message);
      this.done = error.status === 404;
    }
  }

  wait({ state, progress }) {
    const bar = state === "IN_PROGRESS" ? el("progress", { max: 1, value: progress ?? undefined, "aria-label": `Progress of ${this.name.textContent}` }) : null;
    this.cells[1].replaceChildren(STATES[state]);
    this.cells[2].replaceChildren(...(bar ? [bar] : []));
  }

  fail(message) {
    this.cells[1].replaceChildren(el("span", { class: "state", dataset: { state: "FAILED" }, textContent: message }));
    this.cells[2].replaceChildren();
  }

  tell({ people }) {
    const each = (make) => people.slice(0, SHOWN).map((p) => el("div", { class: p.present > 0 && p.present < BRIEF ? "brief" : "" }, make(p)));
    const more = people.length > SHOWN ? [el("div", { class: "small", textContent: `and ${people.length - SHOWN} more` })] : [];
    if (!people.length) { this.cells[1].replaceChildren("nobody was found"); this.cells[2].replaceChildren(); return; }
    this.cells[1].replaceChildren(...each((p) => p.name), ...more);
    this.cells[2].replaceChildren(...each((p) => el("div", {}, shareBar(p), el("span", { class: "small", textContent: p.label === "uncertain" ? "uncertain" : `${p.label} ${percent(p.shares[p.label] ?? 0)}` }))));
    this.cells[3].replaceChildren(...each((p) => percent(1 - p.uncertain)));
  }
}
