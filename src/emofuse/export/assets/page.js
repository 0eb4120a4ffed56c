// Draws the timeline: one Plotly chart a person, all sharing one stretch of time.
(() => {
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const FULL = [0, data.duration];
const SHORTEST = Math.min(1, data.duration);
const MOST = 700; // columns drawn per lane; beyond that, columns are means
const PALEST = 0.75; // how much of the paper shows through at confidence 0
const HEIGHT = { fused: 30, area: 96, lane: 22, gap: 7, axis: 24 };
const NAMES = { fused: "result", face: "face", speech: "voice", text: "words" };
const dark = matchMedia("(prefers-color-scheme: dark)");
const touch = matchMedia("(pointer: coarse)").matches;
let view = FULL.slice();
const charts = [];

// ---- small helpers
const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const px = (name) => parseFloat(css(name));
const percent = (x) => `${Math.round(100 * x)}\u00a0%`;
const element = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const mix = (a, b, t) => rgb(a).map((v, i) => Math.round(v + (rgb(b)[i] - v) * t));
const luminance = (c) => c.map((v) => (v / 255) ** 2.2).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
const clock = (t, digits = 0) => {
  const unit = 10 ** digits, all = Math.round(t * unit);
  const whole = Math.floor(all / unit), s = whole % 60, m = Math.floor(whole / 60) % 60, h = Math.floor(whole / 3600);
  const tail = String(s).padStart(2, "0") + (digits ? "." + String(all % unit).padStart(digits, "0") : "");
  return h ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
};

// ---- lanes: from the page's compact columns to what is drawn in a view
for (const person of data.people) for (const lane of person.lanes) {
  lane.start = lane.start.map((ms) => ms / 1000);
  lane.end = lane.end.map((ms) => ms / 1000);
  lane.rows = lane.p.map((row) => row.map((v) => v / 1000));
}
const firstEndingAfter = (lane, t) => {
  let low = 0, high = lane.end.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lane.end[middle] > t) high = middle; else low = middle + 1;
  }
  return low;
};
const at = (lane, t) => {
  const i = firstEndingAfter(lane, t);
  return i < lane.start.length && lane.start[i] <= t ? i : -1;
};
// The cells of a lane inside the view; where there are too many, means over equal columns.
function cells(lane) {
  const [from, to] = view, out = [];
  let i = firstEndingAfter(lane, from), last = i;
  while (last < lane.start.length && lane.start[last] < to) last++;
  if (last - i <= MOST) {
    for (; i < last; i++) {
      out.push({ start: lane.start[i], end: lane.end[i], p: lane.rows[i], doubt: lane.uncertain?.[i] ? 1 : 0 });
    }
    return out;
  }
  const width = (to - from) / MOST;
  for (let b = 0; b < MOST; b++) {
    const start = from + b * width, end = start + width;
    while (i < last && lane.end[i] <= start) i++;
    const sum = new Array(lane.labels.length).fill(0);
    let weight = 0, doubt = 0;
    for (let j = i; j < last && lane.start[j] < end; j++) {
      const overlap = Math.min(end, lane.end[j]) - Math.max(start, lane.start[j]);
      if (overlap <= 0) continue;
      weight += overlap;
      if (lane.uncertain?.[j]) doubt += overlap;
      lane.rows[j].forEach((v, k) => { sum[k] += overlap * v; });
    }
    if (weight > 0) out.push({ start, end, p: sum.map((v) => v / weight), doubt: doubt / weight });
  }
  out.width = width;
  return out;
}
const top = (p) => p.reduce((best, v, i) => (v > p[best] ? i : best), 0);

// ---- drawing
// One number says label and confidence at once: label's index + confidence.
function scale(paper) {
  const n = data.labels.length, stops = [];
  data.labels.forEach(({ colour }, i) => {
    stops.push([i / n, `rgb(${mix(colour, paper, PALEST)})`], [(i + 1) / n, colour]);
  });
  return stops;
}
function ribbon(lane, drawn, axis, paper) {
  const x = [], z = [];
  drawn.forEach((cell, i) => {
    const start = i ? Math.max(cell.start, x[x.length - 1]) : cell.start;
    if (i && start > x[x.length - 1] + 1e-6) { z.push(null); x.push(start); }
    if (!i) x.push(start);
    const best = top(cell.p);
    z.push(lane.labels[best] + Math.min(cell.p[best], 0.999));
    x.push(Math.max(cell.end, start + 1e-3));
  });
  return {
    type: "heatmap", x: x.length ? x : [0, 1e-3], y: [0, 1], z: [z.length ? z : [null]], yaxis: axis,
    zmin: 0, zmax: data.labels.length, colorscale: scale(paper), showscale: false, hoverinfo: "skip",
  };
}
// Hatching over what is uncertain: one outline a stretch, a gap between them.
function hatching(drawn, axis, ink) {
  const runs = [];
  for (const { start, end, doubt } of drawn) {
    if (doubt < 0.5) continue;
    const last = runs[runs.length - 1];
    if (last && start <= last[1] + 1e-6) last[1] = end; else runs.push([start, end]);
  }
  return {
    type: "scatter", mode: "lines", yaxis: axis, hoverinfo: "skip", line: { width: 0 }, fill: "toself",
    x: runs.flatMap(([a, b]) => [a, a, b, b, null]), y: runs.flatMap(() => [0, 1, 1, 0, null]),
    fillcolor: "rgba(0,0,0,0)",
    fillpattern: { shape: "/", size: 7, solidity: 0.22, fgcolor: ink, bgcolor: "rgba(0,0,0,0)", fillmode: "replace" },
  };
}
// Label names on stretches that are wide enough to hold them.
function words(lane, drawn, axis, paper, perSecond, size) {
  const runs = [];
  for (const cell of drawn) {
    const label = lane.labels[top(cell.p)], last = runs[runs.length - 1];
    const p = cell.p[top(cell.p)], span = cell.end - cell.start;
    if (last && last.label === label && cell.start - last.end < 1e-3) {
      last.end = cell.end; last.sum += p * span;
    } else runs.push({ label, start: cell.start, end: cell.end, sum: p * span });
  }
  const shown = runs.map((r) => ({ ...r, from: Math.max(r.start, view[0]), to: Math.min(r.end, view[1]) }))
    .filter((r) => (r.to - r.from) * perSecond > data.labels[r.label].name.length * size * 0.6 + 8);
  return {
    type: "scatter", mode: "text", yaxis: axis, hoverinfo: "skip",
    x: shown.map((r) => (r.from + r.to) / 2), y: shown.map(() => 0.5),
    text: shown.map((r) => data.labels[r.label].name.replace(/[<>&]/g, " ")),
    textfont: {
      size, weight: 500,
      color: shown.map((r) => {
        const confidence = r.sum / Math.max(r.end - r.start, 1e-9);
        const back = mix(data.labels[r.label].colour, paper, PALEST * (1 - confidence));
        return luminance(back) > 0.18 ? "#101215" : "#ffffff";
      }),
    },
  };
}
// Stacked probabilities as steps; where there is no estimate the stack has no height.
function areas(lane, drawn, axis) {
  const x = [], base = [], nothing = lane.labels.map(() => 0);
  drawn.forEach((cell, i) => {
    const before = i ? drawn[i - 1].end : null;
    if (i && cell.start > before + 1e-6) { x.push(before, cell.start); base.push(nothing, nothing); }
    x.push(cell.start, cell.end);
    base.push(cell.p, cell.p);
  });
  const total = base.map((p) => p.reduce((s, v) => s + v, 0) || 1);
  const height = base.map(() => 0);
  return lane.labels.map((label, k) => ({
    type: "scatter", mode: "lines", yaxis: axis, hoverinfo: "skip", x,
    y: base.map((p, i) => (height[i] += p[k] / total[i])),
    fill: k ? "tonexty" : "tozeroy", fillcolor: data.labels[label].colour,
    line: { width: 0, color: data.labels[label].colour },
  }));
}
function ticks(width) {
  const span = view[1] - view[0];
  const fits = Math.max(2, Math.floor(width / 76));
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000]
    .find((s) => span / s <= fits) || 86400;
  const at = [];
  for (let i = Math.ceil(view[0] / step - 1e-9); i * step <= view[1] + 1e-9; i++) at.push(i * step);
  return { at, text: at.map((t) => clock(t, step < 1 ? 1 : 0)) };
}
function figure(chart) {
  const paper = css("--card"), ink = css("--ink"), soft = css("--soft"), empty = css("--empty");
  const left = px("--left"), right = px("--right"), width = chart.box.clientWidth;
  const perSecond = (width - left - right) / (view[1] - view[0]);
  const bands = [];
  for (const lane of chart.person.lanes) {
    bands.push({ lane, kind: "ribbon", height: lane.key === "fused" ? HEIGHT.fused : HEIGHT.lane });
    if (lane.key === "fused") bands.push({ lane, kind: "area", height: HEIGHT.area });
  }
  const total = bands.reduce((s, b) => s + b.height + HEIGHT.gap, HEIGHT.axis);
  const plot = total - HEIGHT.axis;
  const time = ticks(width - left - right);
  const traces = [], shapes = [], annotations = [];
  const layout = {
    width, height: total, margin: { l: left, r: right, t: 0, b: HEIGHT.axis }, showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: false,
    dragmode: touch ? false : "zoom", font: { color: soft, family: "system-ui, sans-serif", size: 11 },
    shapes, annotations,
    xaxis: {
      range: view, tickvals: time.at, ticktext: time.text, gridcolor: css("--grid"), zeroline: false,
      anchor: "free", position: 0, tickfont: { size: 11 }, ticklabeloverflow: "allow", fixedrange: touch,
    },
  };
  let y = plot, thinned = 0;
  bands.forEach(({ lane, kind, height }, i) => {
    const name = i ? `y${i + 1}` : "y";
    layout[i ? `yaxis${i + 1}` : "yaxis"] = {
      domain: [(y - height) / plot, y / plot], range: [0, 1], fixedrange: true, visible: false,
    };
    shapes.push({
      type: "rect", layer: "below", xref: "paper", x0: 0, x1: 1, yref: "paper", y0: (y - height) / plot,
      y1: y / plot, line: { width: 0 }, fillcolor: empty,
    });
    const drawn = cells(lane);
    thinned = Math.max(thinned, drawn.width || 0);
    if (kind === "ribbon") {
      const size = lane.key === "fused" ? 12 : 10.5;
      traces.push(ribbon(lane, drawn, name, paper));
      if (drawn.some((cell) => cell.doubt >= 0.5)) traces.push(hatching(drawn, name, ink));
      traces.push(words(lane, drawn, name, paper, perSecond, size));
    } else traces.push(...areas(lane, drawn, name));
    annotations.push({
      xref: "paper", x: 0, xanchor: "right", xshift: -7, yref: "paper", y: (y - height / 2) / plot,
      yanchor: "middle", showarrow: false, text: kind === "area" ? "mix" : NAMES[lane.key],
      font: { size: lane.key === "fused" && kind === "ribbon" ? 12 : 11, color: kind === "ribbon" && lane.key === "fused" ? ink : soft },
    });
    y -= height + HEIGHT.gap;
  });
  chart.thinned = thinned;
  return { traces, layout };
}
function draw(chart) {
  if (!chart.box.clientWidth) return; // inside something folded
  const { traces, layout } = figure(chart);
  const config = {
    displaylogo: false, displayModeBar: false, doubleClick: false, responsive: false, scrollZoom: false,
    showTips: false,
  };
  Plotly.react(chart.plot, traces, layout, config);
  if (chart.ready) return;
  chart.ready = true;
  chart.plot.on("plotly_relayout", (change) => {
    if ("xaxis.range[0]" in change) setView(change["xaxis.range[0]"], change["xaxis.range[1]"]);
  });
  chart.plot.on("plotly_doubleclick", () => setView(...FULL));
}

// ---- the view: one stretch of time for everything on the page
let queued = false;
function setView(from, to) {
  const span = Math.min(Math.max(to - from, SHORTEST), FULL[1]);
  const start = Math.min(Math.max((from + to - span) / 2, 0), FULL[1] - span);
  view = [start, start + span];
  refresh();
}
function refresh() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(() => {
    queued = false;
    for (const chart of charts) if (chart.visible) draw(chart); else chart.stale = true;
    drawStrip();
    say();
    movePlayhead();
  });
}
function say() {
  const thinned = Math.max(0, ...charts.map((c) => c.thinned || 0));
  const whole = view[1] - view[0] >= FULL[1] - 1e-6;
  const where = whole ? `whole length, ${clock(FULL[1])}` : `${clock(view[0], 1)} – ${clock(view[1], 1)}`;
  $("where").textContent = thinned ? `${where} · each column is the mean of ${thinned.toPrecision(2)} s` : where;
}
function drawStrip() {
  const width = $("axis").clientWidth, perSecond = width / (view[1] - view[0]);
  const time = ticks(width);
  $("axis").replaceChildren(...time.at.map((t, i) => {
    const tick = element("span", { textContent: time.text[i] });
    tick.style.left = `${(t - view[0]) * perSecond}px`;
    return tick;
  }));
  if (!$("strip")) return;
  const height = $("strip").clientHeight;
  let free = -1e9;
  const shown = data.thumbnails.flatMap(({ time, image, aspect }) => {
    const wide = height * aspect;
    const x = Math.min(Math.max((time - view[0]) * perSecond - wide / 2, 0), Math.max(0, width - wide));
    if (time < view[0] || time > view[1] || x < free) return [];
    free = x + wide + 3;
    const img = element("img", { src: image, alt: `picture at ${clock(time, 1)}` });
    img.style.left = `${x}px`;
    img.style.width = `${wide}px`;
    img.dataset.time = time;
    img.onpointerenter = () => preview(img, image);
    img.onpointerleave = () => $("preview").hidden = true;
    return [img];
  });
  const none = element("span", { className: "small", textContent: "no picture was kept of this stretch" });
  $("strip").replaceChildren(...(shown.length ? shown : [none]));
}
function preview(img, image) {
  const box = img.getBoundingClientRect(), big = $("preview");
  big.src = image;
  big.hidden = false;
  big.style.left = `${Math.max(6, Math.min(box.left + box.width / 2 - 128, innerWidth - 262))}px`;
  big.style.top = `${box.bottom + 8}px`;
}

// ---- hover: a line through all charts, and everything known about that moment
function timeAt(chart, clientX) {
  const box = chart.box.getBoundingClientRect(), left = px("--left"), right = px("--right");
  const part = (clientX - box.left - left) / (box.width - left - right);
  return part < 0 || part > 1 ? null : view[0] + part * (view[1] - view[0]);
}
function placeLine(kind, t) {
  for (const { box } of charts) {
    const line = box.querySelector(kind), left = px("--left"), right = px("--right");
    const inside = t !== null && t >= view[0] && t <= view[1];
    line.style.display = inside ? "block" : "none";
    if (inside) line.style.left = `${left + (t - view[0]) / (view[1] - view[0]) * (box.clientWidth - left - right)}px`;
  }
}
function lead(t) {
  placeLine(".cursor:not(.playhead)", t);
  if (!$("strip")) return;
  let nearest = null;
  for (const img of $("strip").querySelectorAll("img")) {
    img.classList.remove("now");
    if (t !== null && (!nearest || Math.abs(img.dataset.time - t) < Math.abs(nearest.dataset.time - t))) nearest = img;
  }
  if (nearest) nearest.classList.add("now");
}
function bars(lane, i, most) {
  const order = lane.labels.map((label, k) => [label, lane.rows[i][k]]).sort((a, b) => b[1] - a[1]).slice(0, most);
  const grid = element("div", { className: "bars" });
  for (const [label, p] of order) {
    const bar = element("i");
    bar.style.background = data.labels[label].colour;
    bar.style.width = `${Math.max(1, 100 * p)}%`;
    grid.append(element("span", { textContent: data.labels[label].name }), bar, element("b", { textContent: percent(p) }));
  }
  return grid;
}
function tipContent(person, t) {
  const parts = [element("h4", { textContent: `${person.name} at ${clock(t, 1)}` })];
  const fused = person.lanes.find((lane) => lane.key === "fused");
  const f = fused ? at(fused, t) : -1;
  if (f >= 0) {
    parts.push(bars(fused, f, 4));
    const facts = [`evidence quality ${percent(fused.quality[f] / 100)}`];
    if (fused.disagreement[f] !== null) facts.push(`disagreement ${percent(fused.disagreement[f] / 100)}`);
    if (fused.link[f] !== null) facts.push(`the voice is theirs: ${percent(Math.min(0.99, fused.link[f] / 100))} sure`);
    parts.push(element("span", { className: "why", textContent: facts.join(" · ") }));
    const reason = fused.uncertain[f];
    if (reason) parts.push(element("p", { textContent: `Uncertain. ${data.reasons[reason] || reason}` }));
  }
  for (const lane of person.lanes) {
    if (lane.key === "fused") continue;
    const i = at(lane, t);
    if (i < 0) continue;
    const best = top(lane.rows[i]), line = element("p");
    line.append(`${NAMES[lane.key]}: ${data.labels[lane.labels[best]].name} ${percent(lane.rows[i][best])}`);
    const share = f >= 0 ? fused.shares[lane.key]?.[f] : null;
    const why = [`quality ${percent(lane.quality[i] / 100)}`];
    if (share !== null && share !== undefined) why.push(`share in the result ${percent(share / 100)}`);
    line.append(element("span", { className: "why", textContent: why.join(" · ") }));
    if (lane.text?.[i]) line.append(element("span", { className: "said", textContent: `“${lane.text[i]}”` }));
    parts.push(line);
  }
  if (parts.length === 1) parts.push(element("span", { className: "why", textContent: "no face, voice or words of theirs here" }));
  return parts;
}
function showTip(chart, event) {
  const t = timeAt(chart, event.clientX);
  lead(t);
  const tip = $("tip");
  if (t === null) { tip.style.display = "none"; return; }
  tip.replaceChildren(...tipContent(chart.person, t));
  tip.style.display = "block";
  const box = tip.getBoundingClientRect();
  const x = event.clientX + 18 + box.width < innerWidth ? event.clientX + 18 : event.clientX - 18 - box.width;
  tip.style.left = `${Math.max(6, Math.min(x, innerWidth - box.width - 6))}px`;
  tip.style.top = `${Math.max(6, Math.min(event.clientY + 14, innerHeight - box.height - 8))}px`;
}
function hideTip() {
  $("tip").style.display = "none";
  lead(null);
}

// ---- watch along: the file is opened by the browser and goes nowhere
let video = null;
function movePlayhead() {
  placeLine(".playhead", video ? video.currentTime : null);
}
function watch(file) {
  closePlayer();
  video = element("video", { src: URL.createObjectURL(file), controls: true });
  video.addEventListener("timeupdate", () => {
    const t = video.currentTime, span = view[1] - view[0];
    if (span < FULL[1] - 1e-6 && (t < view[0] || t > view[1])) setView(t, t + span);
    movePlayhead();
  });
  const close = element("button", { textContent: "✕", title: "Close the player", onclick: closePlayer });
  document.body.append(element("div", { className: "player", id: "player" }, close, video));
}
function closePlayer() {
  if (!video) return;
  URL.revokeObjectURL(video.src);
  $("player").remove();
  video = null;
  movePlayhead();
}

// ---- set up
const look = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const chart = charts.find((c) => c.box === target);
    chart.visible = isIntersecting || charts.length <= 6;
    if (isIntersecting && (!chart.ready || chart.stale)) { chart.stale = false; draw(chart); say(); }
  }
}, { rootMargin: "400px" });
for (const [i, person] of data.people.entries()) {
  const box = $(`plot-${i}`);
  const rows = person.lanes.reduce((s, lane) => s + HEIGHT.gap + (lane.key === "fused" ? HEIGHT.fused + HEIGHT.area + HEIGHT.gap : HEIGHT.lane), HEIGHT.axis);
  box.style.minHeight = `${rows}px`;
  const plot = element("div");
  box.append(plot, element("div", { className: "cursor" }), element("div", { className: "cursor playhead" }));
  const chart = { person, box, plot, ready: false, visible: false, stale: false };
  charts.push(chart);
  box.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") showTip(chart, event); });
  box.addEventListener("pointerdown", (event) => { if (event.pointerType !== "mouse") showTip(chart, event); });
  box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hideTip(); });
  box.addEventListener("click", (event) => {
    const t = timeAt(chart, event.clientX);
    if (video && t !== null) video.currentTime = t;
  });
  look.observe(box);
}
document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".plot")) hideTip(); });
addEventListener("scroll", hideTip, { passive: true });
addEventListener("resize", refresh);
dark.addEventListener("change", refresh);
const zoom = (factor) => {
  const middle = (view[0] + view[1]) / 2, half = (view[1] - view[0]) / 2 * factor;
  setView(middle - half, middle + half);
};
const pan = (part) => setView(...view.map((t) => t + part * (view[1] - view[0])));
const acts = { in: () => zoom(0.5), out: () => zoom(2), back: () => pan(-0.5), on: () => pan(0.5), all: () => setView(...FULL) };
for (const button of document.querySelectorAll("[data-act]")) button.onclick = acts[button.dataset.act];
$("watch").onclick = () => $("file").click();
$("file").onchange = (event) => { if (event.target.files[0]) watch(event.target.files[0]); };
for (const button of document.querySelectorAll(".jump")) {
  button.onclick = () => {
    const from = Number(button.dataset.from), to = Number(button.dataset.to);
    setView(from - 2, Math.max(to, from) + 2);
    if (video) video.currentTime = from;
    $("timeline").scrollIntoView({ behavior: "smooth" });
  };
}
// Few charts are drawn at once, so that one can print the page; many when they come into sight.
const drawAll = () => { for (const chart of charts) { chart.visible = true; draw(chart); } say(); };
addEventListener("beforeprint", drawAll);
refresh();
if (charts.length <= 6) requestAnimationFrame(drawAll);
document.documentElement.dataset.ready = "yes";
})();
