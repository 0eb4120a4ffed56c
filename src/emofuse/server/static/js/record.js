// A recording: pictures and sound as a file, and what was measured meanwhile. Nothing leaves the browser.
import { MODALITIES } from "../viewer/format.js";
import { ordered } from "../viewer/people.js";

const TYPES = ["video/webm;codecs=vp9,opus", "video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];
const SOUND_TYPES = ["audio/webm;codecs=opus", "audio/webm", "audio/mp4"];

export class Recording {
  /** `tracks` as a MediaStream; `start`: seconds on the estimates' clock. */
  constructor(stream, { start, pictured, shape, rate, models, version }) {
    Object.assign(this, { start, pictured, shape, rate, models, version, estimates: [], parts: [], end: null });
    const type = (pictured ? TYPES : SOUND_TYPES).find((t) => MediaRecorder.isTypeSupported(t));
    this.recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 2_500_000 });
    this.recorder.ondataavailable = (event) => event.data.size && this.parts.push(event.data);
    this.recorder.start(1000);
  }

  /** Results may come a while after what they tell about: they are taken until the download. */
  add(estimate) {
    if (estimate.end > this.start && (this.end === null || estimate.start < this.end)) this.estimates.push(estimate);
  }

  stop(end) {
    this.end = end;
    return new Promise((resolve) => {
      this.recorder.onstop = () => resolve(this);
      if (this.recorder.state === "inactive") resolve(this); else this.recorder.stop();
    });
  }

  get seconds() { return this.end - this.start; }
  get media() { return new Blob(this.parts, { type: this.recorder.mimeType }); }
  get suffix() { return this.recorder.mimeType.includes("mp4") ? "mp4" : "webm"; }

  rows() {
    const clip = (t) => Number(Math.min(Math.max(t - this.start, 0), this.seconds).toFixed(4));
    return this.estimates.map((e) => ({ ...e, start: clip(e.start), end: clip(e.end) })).filter((e) => e.end > e.start)
      .sort((a, b) => a.start - b.start || a.end - b.end || (a.subject < b.subject ? -1 : 1));
  }

  /** As timeline.json; emofuse reads it back. */
  json(name) {
    const taxonomies = new Map();
    const taxonomy = (p) => {
      const labels = ordered(new Set(Object.keys(p))), key = labels.join(",");
      if (!taxonomies.has(key)) taxonomies.set(key, { key: taxonomies.size ? `canonical#${taxonomies.size}` : "canonical", labels });
      return taxonomies.get(key).key;
    };
    const estimates = this.rows().map(({ fusion, probabilities, uncertain, ...e }) => ({
      ...e, ...(uncertain && { uncertain: uncertain.reason }), taxonomy: taxonomy(probabilities), probabilities: normal(probabilities),
      ...(fusion && { fusion: { ...fusion, weights: normal(fusion.weights), probabilities: Object.fromEntries(Object.entries(fusion.probabilities).map(([key, score]) => {
        const p = score.probabilities ?? score;
        return [key, { taxonomy: taxonomy(p), probabilities: normal(p) }];
      })) } }),
    }));
    return JSON.stringify({
      schema: "emofuse/timeline", version: 1,
      media: {
        name, path: null, kind: this.pictured ? "video" : "audio", duration: this.seconds,
        video: this.pictured ? { width: this.shape[0], height: this.shape[1], fps: null, codec: "camera", rotation: 0 } : null,
        audio: this.rate ? { rate: this.rate, channels: 1, codec: "microphone", start: 0 } : null, text: null,
      },
      duration: this.seconds,
      provenance: { version: this.version, models: this.models, components: { recorded: "in a browser, live" }, settings: {} },
      notes: [],
      taxonomies: Object.fromEntries([...taxonomies.values()].map(({ key, labels }) => [key, { name: "canonical", labels, multi_label: false }])),
      estimates,
    }, null, 1);
  }

  /** As timeline.csv. */
  csv(name) {
    const rows = this.rows(), labels = ordered(new Set(rows.flatMap((e) => Object.keys(e.probabilities))));
    const six = (v) => (Number.isFinite(v) ? v.toFixed(6) : "");
    const head = ["file", "start", "end", "subject", "modality", "label", ...labels, "confidence", "quality", "model",
      ...MODALITIES.map((m) => `weight_${m}`), "disagreement", "uncertain", "text"];
    const lines = rows.map((e) => [
      name, e.start.toFixed(3), e.end.toFixed(3), e.subject, e.modality, e.label, ...labels.map((label) => six(e.probabilities[label])),
      six(e.confidence), six(e.quality), e.model ?? this.models[e.modality] ?? "", ...MODALITIES.map((m) => six(e.fusion?.weights[m])), six(e.fusion?.disagreement), e.uncertain?.reason ?? "",
      e.modality === "text" ? (e.details?.text ?? "").replace(/\s+/g, " ") : "",
    ]);
    return [head, ...lines].map((line) => line.map(cell).join(",") + "\r\n").join("");
  }
}

/** A spreadsheet must not run what somebody said as a formula. */
function cell(value) {
  const text = String(value).replace(/^[=+\-@]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rounded probabilities, summing to 1 again. */
function normal(p) {
  const sum = Object.values(p).reduce((a, b) => a + b, 0) || 1;
  return Object.fromEntries(Object.entries(p).map(([label, v]) => [label, v / sum]));
}
