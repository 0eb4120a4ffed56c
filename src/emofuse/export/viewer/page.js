// A page of its own: the result is in the page, its medium lies beside it or is opened by the user.
import { el } from "./dom.js";
import { PageKeeper } from "./keeper.js";
import { Viewer } from "./viewer.js";

const LOUD_BYTES = 64e6; // larger files are not decoded for a waveform

/** A row of columns as the distribution that it is. */
const distribution = (labels, { labels: columns, p }, i) =>
  Object.fromEntries(columns.flatMap((k, c) => (p[i][c] === null ? [] : [[labels[k], p[i][c] / 1000]])));

/** Estimates as in timeline.json, of the page's compact columns. */
function* estimates({ labels, lanes }) {
  for (const lane of lanes) {
    for (let i = 0; i < lane.start.length; i++) {
      const probabilities = distribution(labels, lane, i), label = labels[lane.label[i]];
      yield {
        subject: lane.subject, modality: lane.modality, start: lane.start[i] / 1000, end: lane.end[i] / 1000,
        label, confidence: probabilities[label], quality: lane.quality[i] / 100, probabilities,
        uncertain: lane.uncertain?.[i] ?? null, hand: Boolean(lane.hand?.[i]), fusion: lane.fusion && fusion(labels, lane.fusion, i), affect: affect(lane.affect?.[i]),
        details: { dispersion: lane.dispersion?.[i] == null ? null : lane.dispersion[i] / 100, text: lane.text?.[i] ?? null, box: lane.box?.[i]?.map((v) => v / 1000) ?? null },
      };
    }
  }
}

const affect = (permille) => permille && { valence: permille[0] / 1000, arousal: permille[1] / 1000 };

function fusion(labels, { disagreement, parts }, i) {
  const present = Object.entries(parts).filter(([, part]) => part.p[i]);
  return {
    disagreement: disagreement ? disagreement[i] / 100 : null,
    weights: Object.fromEntries(present.map(([m, part]) => [m, part.weight[i] / 100])),
    probabilities: Object.fromEntries(present.map(([m, part]) => [m, distribution(labels, part, i)])),
  };
}

function begin() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { media, source, thumbnails } = data, sources = {};
  if (source && media.kind !== "text") sources[media.kind] = source;
  else if (media.kind === "image" && thumbnails.length) sources.image = thumbnails[0].image;
  const missing = media.kind === "video" || media.kind === "audio";
  const viewer = new Viewer({ ...data, estimates: [...estimates(data)].sort((a, b) => a.start - b.start) }, {
    sources, thumbnails: media.kind === "image" ? [] : thumbnails, portraits: data.portraits, moments: data.moments,
    keeper: data.editable ? new PageKeeper(data) : null,
    onfile: missing ? (file) => (file.size > LOUD_BYTES ? null : file.arrayBuffer()) : null,
  });
  document.getElementById("viewer").append(
    el("p", { class: "overline", textContent: "emofuse · who expressed what, and when" }), el("h1", { class: "title", textContent: media.name }), viewer.root);
  viewer.lanes?.draw();
  viewer.player?.draw();
  if (missing && !source) viewer.player.giveUp();
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === " " && event.target.closest("button, input, select, a, summary")) return;
    if (event.target.closest("input, select") && event.key !== " ") return;
    if (viewer.key(event)) event.preventDefault();
  });
  document.documentElement.dataset.ready = "";
}

begin();
