// The start page (drop files or paste words, earlier jobs) and the page of one job.
import * as api from "./api.js";
import { ServerKeeper } from "./keeper.js";
import { Options } from "./options.js";
import { refused } from "./overview.js";
import { button, el, icon, relabel, toast } from "../viewer/dom.js";
import { bytes, clock, plural, since } from "../viewer/format.js";
import { Viewer } from "../viewer/viewer.js";

const WAVE_BYTES = 64e6; // larger uploads are not fetched whole for a waveform
const FORMATS = {
  json: "everything, for programs", csv: "for spreadsheets", html: "a page to keep", elan: "tiers for ELAN", textgrid: "tiers for Praat",
  vtt: "subtitles", srt: "subtitles", rttm: "who speaks when", parquet: "for DuckDB and pandas", zip: "what is written at once, together", mp4: "the film with boxes, names and bars; takes a while",
  slots: "every person and slot", "slots-wide": "the same for SPSS", summary: "a row per person", xlsx: "for Excel", report: "to print", png: "a figure", svg: "a figure to edit", pdf: "a figure for papers",
};
const KINDS = [
  ["image", /^image\//, /\.(jpe?g|png|webp|bmp|tiff?|gif|avif|heic)$/i],
  ["video", /^video\//, /\.(mp4|mov|m4v|mkv|webm|avi|mpe?g|ts|wmv|flv|3gp|ogv)$/i],
  ["audio", /^audio\//, /\.(wav|mp3|m4a|aac|flac|ogg|oga|opus|wma|aiff?)$/i],
  ["text", /^text\//, /\.(txt|srt|vtt)$/i],
];
const STATES = { QUEUED: "waiting", IN_PROGRESS: "running", COMPLETED: "done", FAILED: "failed", CANCELLED: "cancelled" };
const ACCEPT = "video/*,audio/*,image/*,text/plain,.srt,.vtt,.mkv";

/** What a file seems to be; the server decides by its content. */
const kindOf = (file) => KINDS.find(([, type, name]) => type.test(file.type) || name.test(file.name))?.[0] ?? "video";

/** Whether files and pasted words make one analysis: at most one of each, and no video beside a sound or picture. */
export function together(files, words) {
  const kinds = files.map(kindOf), count = (kind) => kinds.filter((k) => k === kind).length;
  const text = count("text") + (words ? 1 : 0);
  if (text > 1 || count("video") > 1 || count("audio") > 1 || count("image") > 1) return false;
  return !(count("video") && (count("audio") || count("image"))) && kinds.length + (words ? 1 : 0) > 1;
}

export class Start {
  constructor(health) {
    this.files = [];
    this.options = new Options();
    this.stops = [];
    this.root = el("div", { class: "start" });
    this.limits = health?.limits?.jobs;
    this.build();
  }

  build() {
    this.input = el("input", { type: "file", multiple: true, accept: ACCEPT, class: "sr", id: "files", tabIndex: -1, "aria-label": "Files to analyze", onchange: () => { this.add([...this.input.files]); this.input.value = ""; } });
    this.drop = el("div", { class: "drop" },
      el("div", { class: "drop-icons", "aria-hidden": "true" }, ...["video", "audio", "image", "text"].map(icon)),
      el("p", { class: "drop-title", textContent: "Drop a video, audio, image or text file" }),
      el("p", { class: "small", textContent: this.limits ? `Any of them, or several. Up to ${bytes(this.limits.bytes)} and ${Math.round(this.limits.seconds / 3600)} hours.` : "Any of them, or several." }),
      button("upload", "Choose files", () => this.input.click(), { class: "primary" }), this.input);
    this.words = el("textarea", {
      rows: 2, id: "words", placeholder: "… or write or paste what was said", "aria-label": "Words to analyze",
      oninput: () => this.refresh(),
      onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.go(); },
    });
    this.picked = el("ul", { class: "picked" });
    this.joined = el("input", { type: "checkbox", checked: true, onchange: () => this.refresh() });
    this.joinedLabel = el("label", { class: "toggle", hidden: true }, this.joined, el("span", { textContent: "these belong together (one analysis)" }));
    this.goButton = button("play", "Analyze", () => this.go(), { class: "primary" });
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.progress = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Upload" });
    this.submitRow = el("div", { class: "row-end", hidden: true }, this.joinedLabel, el("span", { class: "spring" }),
      button(null, "Clear", () => this.clear()), this.goButton);
    this.list = el("ul", { class: "jobs" });
    this.earlier = el("section", { hidden: true, "aria-label": "Earlier results" }, el("h2", { textContent: "Earlier results" }), this.list);
    this.root.append(
      el("div", { class: "hero" }, el("h1", { textContent: "Who expressed what, and when" }),
        el("p", { textContent: "Reads expressions from faces, voices and words, separately and together, on this machine." })),
      el("section", { class: "card intake", "aria-label": "What to analyze" }, this.drop, this.words, this.picked, this.options.root, this.error, this.progress, this.submitRow),
      this.earlier);
    this.dropping();
    this.load();
  }

  close() {
    this.closed = true;
    this.upload?.abort();
    for (const stop of this.stops) stop();
    for (const [name, act] of this.listeners) removeEventListener(name, act);
  }

  dropping() {
    let depth = 0;
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const over = (on) => this.drop.classList.toggle("over", on);
    this.listeners = [
      ["dragenter", (event) => { if (hasFiles(event)) { depth++; over(true); } }],
      ["dragleave", (event) => { if (hasFiles(event) && --depth <= 0) { depth = 0; over(false); } }],
      ["dragover", (event) => { if (hasFiles(event)) event.preventDefault(); }],
      ["drop", (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        depth = 0;
        over(false);
        this.add([...event.dataTransfer.files]);
      }],
      ["paste", (event) => { if (event.clipboardData?.files.length) this.add([...event.clipboardData.files]); }],
    ];
    for (const [name, act] of this.listeners) addEventListener(name, act);
  }

  // ---- what is chosen
  add(files) {
    this.files.push(...files);
    this.refresh();
    // One file and nothing else: there is nothing to decide.
    if (this.files.length === 1 && !this.words.value.trim()) this.go();
  }

  clear() {
    this.upload?.abort();
    this.files = [];
    this.words.value = "";
    this.refresh();
  }

  refresh() {
    const words = this.words.value.trim();
    this.picked.replaceChildren(...this.files.map((file) => el("li", {}, icon(kindOf(file)), el("span", { class: "name", textContent: file.name }), el("small", { textContent: bytes(file.size) }),
      button("close", "", () => { this.files = this.files.filter((f) => f !== file); this.refresh(); }, { title: `Leave out ${file.name}` }))));
    const one = together(this.files, words), count = this.files.length + (words ? 1 : 0);
    this.joinedLabel.hidden = !one;
    this.submitRow.hidden = !count;
    const jobs = one && this.joined.checked ? 1 : count;
    this.goButton.lastChild.textContent = jobs > 1 ? `Analyze, ${plural(jobs, "job")}` : "Analyze";
    this.error.hidden = true;
  }

  fail(message) {
    this.error.textContent = message;
    this.error.hidden = false;
  }

  async go() {
    const words = this.words.value.trim(), { files } = this;
    if (!files.length && !words) return;
    if (this.options.problem) { this.fail(this.options.problem); return; }
    const groups = together(files, words) && this.joined.checked ? [[files, words]]
      : [...files.map((file) => [[file], ""]), ...(words ? [[[], words]] : [])];
    this.goButton.disabled = true;
    this.progress.hidden = false;
    this.upload = new AbortController();
    const made = [], errors = [];
    for (const [i, [some, text]] of groups.entries()) {
      const form = new FormData();
      for (const file of some) form.append("file", file);
      if (text) form.append("text", text);
      this.options.fill(form);
      try {
        made.push(await api.submit(form, (part) => { this.progress.value = (i + part) / groups.length; }, this.upload.signal));
      } catch (error) {
        if (error.name === "AbortError") break;
        errors.push([some[0]?.name ?? "words", error.message]);
      }
    }
    this.goButton.disabled = false;
    this.progress.hidden = true;
    if (this.closed) return;
    this.files = [];
    this.refresh();
    if (!errors.length) this.words.value = "";
    if (made.length + errors.length > 1 && made.length) {
      refused.push(...errors);
      location.hash = `#/jobs/${made.map((job) => job.id).join(",")}`;
    } else if (made.length) location.hash = `#/job/${made[0].id}`;
    else {
      this.fail(errors.map(([name, why]) => (why.includes(name) || name === "words" ? why : `${name}: ${why}`)).join(" "));
      this.load();
    }
  }

  // ---- earlier jobs
  async load() {
    let jobs;
    try { jobs = await api.jobs(); } catch (error) { this.fail(error.message); return; }
    if (this.closed) return;
    this.earlier.hidden = !jobs.length;
    this.list.replaceChildren(...jobs.map((job) => this.row(job)));
  }

  row(job) {
    const state = el("span", { class: "state" }), bar = el("progress", { max: 1, hidden: true, "aria-label": `Progress of ${job.media.name}` });
    const bin = button("trash", "", () => this.remove(job, node, bin), { title: `Delete ${job.media.name}` });
    const facts = [since(job.created), bytes(job.media.bytes), ...(job.media.duration ? [clock(job.media.duration)] : [])];
    const node = el("li", {}, el("a", { href: `#/job/${job.id}` }, icon(job.media.kind),
      el("span", { class: "name", textContent: job.inputs.map((input) => input.name).join(" + ") || job.media.name }), el("small", { textContent: facts.join(" · ") })), bar, state, bin);
    const show = (now) => {
      state.textContent = STATES[now.state];
      state.dataset.state = now.state;
      bar.hidden = now.state !== "IN_PROGRESS";
      if (now.progress === null || now.progress === undefined) bar.removeAttribute("value"); else bar.value = now.progress;
    };
    show(job);
    if (["QUEUED", "IN_PROGRESS"].includes(job.state) && this.stops.length < 4) this.stops.push(api.follow(job.id, show));
    return node;
  }

  async remove(job, node, bin) {
    if (!await sure(bin)) return;
    try { await api.remove(job.id); } catch (error) { toast(error.message); return; }
    node.remove();
    this.earlier.hidden = !this.list.children.length;
    toast(`Deleted ${job.media.name} and its results.`);
  }

  key() { return false; }
}

/** Ask in the button itself: the second press within four seconds counts. */
function sure(bin) {
  if (bin.dataset.asked) return Promise.resolve(true);
  const title = bin.title;
  bin.dataset.asked = "yes";
  relabel(bin, "trash", `${title}?`, "Really?");
  setTimeout(() => { delete bin.dataset.asked; relabel(bin, "trash", title); }, 4000);
  return Promise.resolve(false);
}

export class JobPage {
  constructor(id) {
    this.id = id;
    this.root = el("div", { class: "job" });
    this.name = el("h1", { textContent: "…" });
    this.bin = button("trash", "", () => this.remove(), { title: "Delete this upload and its results" });
    this.body = el("div", {});
    this.root.append(el("div", { class: "job-head" }, el("a", { class: "back", href: "#/" }, icon("back"), "All results"), this.name, this.bin), this.body);
    this.open();
  }

  async open() {
    let job;
    try { job = await api.job(this.id); } catch (error) { this.fail(error.message); return; }
    if (this.closed) return;
    this.name.textContent = job.inputs.map((input) => input.name).join(" + ") || job.media.name;
    document.title = `${this.name.textContent} – emofuse`;
    if (["QUEUED", "IN_PROGRESS"].includes(job.state)) { this.wait(job); return; }
    this.ended(job);
  }

  close() {
    this.closed = true;
    this.stop?.();
    this.keeper?.close();
    this.result?.close();
  }

  wait(job) {
    const bar = el("progress", { max: 1, "aria-label": "Progress" }), text = el("p", { class: "progress-text", "aria-live": "polite" });
    const rest = el("p", { class: "small" });
    const halt = button("stop", "Cancel", async () => {
      halt.disabled = true;
      try { await api.cancel(this.id); } catch (error) { toast(error.message); }
    });
    this.body.replaceChildren(el("section", { class: "card waiting" }, icon(job.media.kind), text, bar, rest, halt));
    let said = "";
    const show = (now) => {
      if (this.closed) return;
      if (!["QUEUED", "IN_PROGRESS"].includes(now.state)) { this.stop?.(); this.ended(now); return; }
      const running = now.state === "IN_PROGRESS";
      if (running && now.progress !== null) bar.value = now.progress; else bar.removeAttribute("value");
      const line = running ? "Analyzing …" : now.position ? `Waiting: ${plural(now.position, "job")} before this one` : "Waiting for its turn …";
      if (line !== said) text.textContent = said = line;
      const whole = now.media.duration ? ` of ${clock(now.media.duration)}` : "";
      rest.textContent = running ? [now.progress !== null ? `${Math.round(100 * now.progress)} %` : "", now.seconds_done ? `${clock(now.seconds_done)}${whole}` : ""].filter(Boolean).join(" · ") : "";
    };
    show(job);
    this.stop = api.follow(this.id, show);
  }

  async ended(job) {
    if (job.state === "CANCELLED") { this.body.replaceChildren(el("p", { class: "card none", textContent: "This analysis was cancelled." })); return; }
    if (job.state === "FAILED") { this.fail(job.error?.message ?? "The analysis failed."); return; }
    this.body.replaceChildren(el("p", { class: "small", textContent: "Loading the result …" }));
    try {
      let problem = "";
      const [timeline, kept] = await Promise.all([api.result(this.id), api.annotations(this.id).catch((error) => { problem = error.message; })]);
      if (this.closed) return;
      this.keeper = kept ? new ServerKeeper(this.id, kept) : null;
      if (problem) toast(`What was corrected by hand cannot be shown: ${problem}`);
      this.result = this.view(job.inputs ? job : await api.job(this.id), timeline);
      this.body.replaceChildren(this.result.root);
      this.result.lanes?.draw();
      this.result.player?.draw();
    } catch (error) {
      this.fail(error.message);
      if (!(error instanceof api.ApiError)) throw error;
    }
  }

  view(job, timeline) {
    const sources = {};
    job.inputs.forEach((input, i) => { if (["video", "audio", "image"].includes(input.kind)) sources[input.kind] ??= api.mediaAddress(job.id, i); });
    const loud = job.inputs.findIndex((input) => input.kind === "audio" || (input.kind === "video" && timeline.media.audio));
    const wave = loud < 0 || job.inputs[loud].bytes > WAVE_BYTES ? null : (signal) => api.media(job.id, loud, WAVE_BYTES, signal);
    return new Viewer(timeline, { sources, wave, keeper: this.keeper, after: [downloads(job)] });
  }

  fail(message) {
    this.body.replaceChildren(el("p", { class: "note", role: "alert", textContent: message }));
    if (this.name.textContent === "…") this.name.textContent = "No result";
  }

  async remove() {
    if (!await sure(this.bin)) return;
    try { await api.remove(this.id); } catch (error) { toast(error.message); return; }
    toast("Deleted the upload and its results.");
    location.hash = "#/";
  }

  key(event) { return this.result?.key(event) ?? false; }
}

function downloads(job) {
  return el("section", { class: "card noprint" }, el("h2", { textContent: "Download" }),
    el("div", { class: "downloads" }, ...job.formats.map((format) =>
      el("a", { class: "download", href: api.resultAddress(job.id, format), download: `${job.media.name}.${format}` },
        icon("download"), el("b", { textContent: format.toUpperCase() }), el("small", { textContent: FORMATS[format] ?? "" })))),
    el("p", { class: "small", textContent: job.expires ? `The upload (${bytes(job.media.bytes)}) and its results stay on this server until ${new Date(job.expires).toLocaleString()}, or until you delete them.` : "" }));
}
