// Plays what was analyzed: a video, a sound with its waveform, a picture, or, where there is nothing to play, time itself
// with the small pictures that there are.
import { colourOf, mix, theme } from "./colour.js";
import { button, el, paint, relabel, toggle } from "./dom.js";
import { clock } from "./format.js";
import { drawFaces, fit, placed } from "./overlay.js";
import { at } from "./people.js";

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];

/** Time that passes by itself, with what a media element has of it. */
class Ticker extends EventTarget {
  constructor(duration) {
    super();
    Object.assign(this, { duration, paused: true, playbackRate: 1, from: 0, since: 0 });
  }
  get currentTime() {
    const t = this.paused ? this.from : this.from + ((performance.now() - this.since) / 1000) * this.playbackRate;
    if (t >= this.duration && !this.paused) { this.pause(); this.from = this.duration; return this.duration; }
    return Math.min(t, this.duration);
  }
  set currentTime(t) {
    this.from = t;
    this.since = performance.now();
    this.dispatchEvent(new Event("seeked"));
  }
  play() {
    if (this.from >= this.duration) this.from = 0;
    this.since = performance.now();
    this.paused = false;
    this.dispatchEvent(new Event("play"));
  }
  pause() {
    if (!this.paused) this.from = Math.min(this.from + ((performance.now() - this.since) / 1000) * this.playbackRate, this.duration);
    this.paused = true;
    this.dispatchEvent(new Event("pause"));
  }
}

export class Player {
  /**
   * `sources`: {video, audio, image} addresses, those that there are. `shape`: [width, height] of the picture.
   * `thumbnails`: [{time, image}], shown where there is no video to play. `ontime(t)` hears the playhead,
   * `onpick(person)` whose face was clicked. Where `onfile` is given, users may open the file that is missing.
   */
  constructor({ sources, shape, duration, people, ontime, onpick, thumbnails = [], onfile = null }) {
    Object.assign(this, { sources, shape, duration, people, ontime, onpick, thumbnails, onfile, chosen: null, peaks: null, showBoxes: true, portraits: new Map() });
    this.canvas = el("canvas", { class: "overlay" });
    this.stage = el("div", { class: "stage", onclick: (event) => this.click(event) });
    this.root = el("div", { class: "player" }, this.stage);
    this.build();
    if (duration > 0 && (sources.video || sources.audio || !sources.image)) this.root.append(this.controls());
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.stage);
    this.redraw = () => this.draw();
    addEventListener("theme", this.redraw);
  }

  build() {
    const { video, audio, image } = this.sources;
    this.stage.replaceChildren();
    this.stage.className = "stage";
    if (video) this.medium = el("video", { src: video, playsInline: true, preload: "auto", "aria-label": "the video" });
    else if (audio) this.medium = el("audio", { src: audio, preload: "auto" });
    if (this.medium) {
      this.medium.addEventListener("error", () => this.giveUp(), { once: true });
      this.stage.append(this.medium);
    }
    this.use(this.medium ?? new Ticker(this.duration));
    if (image) this.stage.append(el("img", { src: image, alt: "the picture", onload: (event) => this.sized(event.target.naturalWidth, event.target.naturalHeight) }));
    if (video) this.medium.addEventListener("loadeddata", () => this.portray(this.shown ?? 0));
    if (video) this.medium.addEventListener("loadedmetadata", () => this.sized(this.medium.videoWidth, this.medium.videoHeight));
    if (video || image) this.picture(!video);
    else if (audio) this.canvas.className = "wave";
    else if (this.thumbnails.length) this.flip();
    this.stage.hidden = !(video || image || audio || this.thumbnails.length);
    if (audio && !image) {
      this.stage.append(this.canvas);
      this.stage.classList.add("sounding");
    }
    if (this.medium?.requestVideoFrameCallback) this.followFrames(this.medium);
  }

  /** Make room for a picture with boxes over it. */
  picture(drawn) {
    this.canvas.className = "overlay";
    this.stage.append(this.canvas);
    this.stage.classList.toggle("drawn", drawn);
    this.stage.classList.add("pictured");
    if (this.shape) this.sized(...this.shape);
  }

  /** Show the small picture nearest to the playhead. */
  flip() {
    this.leaf = el("img", { alt: "the picture nearest to the playhead" });
    this.stage.append(this.leaf);
    this.leaf.addEventListener("load", () => { if (!this.shape) this.sized(this.leaf.naturalWidth, this.leaf.naturalHeight); });
    this.picture(true);
  }

  use(clock) {
    this.clock = clock;
    clock.addEventListener("play", () => this.run());
    clock.addEventListener("pause", () => this.tell());
    clock.addEventListener("seeked", () => this.tell());
  }

  /** Hear of every frame, where the browser tells which one is on the screen. */
  followFrames(medium) {
    const shown = (_, frame) => {
      if (this.medium !== medium) return;
      // At rest the playhead stays where it was put, though the frame on the screen began a little earlier.
      this.tell(this.clock.paused ? this.now : frame.mediaTime);
      medium.requestVideoFrameCallback(shown);
    };
    medium.requestVideoFrameCallback(shown);
    this.framewise = true;
  }

  sized(width, height) {
    if (!width || !height) return;
    this.shape = [width, height];
    this.stage.style.setProperty("--shape", width / height);
    this.draw();
    this.portray(this.shown ?? 0);
  }

  /** The browser cannot play it: say so, and let time run without it. */
  giveUp() {
    if (this.closed) return;
    const { medium, shown } = this, sound = this.sources.audio || (!this.thumbnails.length && !this.shape);
    medium?.remove();
    Object.assign(this, { medium: null, framewise: false, sources: { image: this.sources.image } });
    if (sound) this.use(new Ticker(this.duration)); else this.build();
    this.stage.hidden = false;
    this.stage.append(el("div", { class: "reopen" }, ...this.missing(sound)));
    if (shown !== undefined) this.clock.currentTime = shown;
    this.tell();
  }

  missing(sound) {
    if (!this.onfile) return [el("p", {}, "The browser cannot play this, or the upload is gone. The results are complete.")];
    const input = el("input", { type: "file", hidden: true, accept: sound ? "audio/*" : "video/*", "aria-label": "The analyzed file", onchange: () => { if (input.files[0]) this.open(input.files[0]); } });
    return [el("p", {}, "The file is not beside this page, or the browser cannot play it."),
      button("video", "Open it", () => input.click()), input];
  }

  /** Play a file that the user has; it stays on this machine. */
  open(file) {
    const t = this.shown ?? 0, kind = file.type.startsWith("audio") ? "audio" : "video";
    this.clock.pause();
    this.sources = { ...this.sources, [kind]: URL.createObjectURL(file) };
    this.build();
    this.seek(t);
    this.onfile(file);
  }

  controls() {
    this.playButton = button("play", "", () => this.toggle(), { title: "Play (space)" });
    this.time = el("span", { class: "time" });
    const speed = el("select", { "aria-label": "Speed", onchange: () => { this.clock.playbackRate = Number(speed.value); } },
      ...SPEEDS.map((s) => el("option", { value: s, textContent: `${s}×`, selected: s === 1 })));
    const parts = [this.playButton, this.time, el("span", { class: "spring" })];
    if (this.sources.video || this.sources.image || this.thumbnails.length) parts.push(toggle("boxes", true, (on) => { this.showBoxes = on; this.draw(); }));
    parts.push(speed);
    if (this.sources.video || this.sources.audio) {
      const mute = button("sound", "", () => {
        if (!this.medium) return;
        this.medium.muted = !this.medium.muted;
        relabel(mute, this.medium.muted ? "muted" : "sound", this.medium.muted ? "Sound on (m)" : "Mute (m)");
      }, { title: "Mute (m)" });
      this.mute = mute;
      parts.push(mute);
    }
    if (this.sources.video && document.fullscreenEnabled) {
      parts.push(button("full", "", () => (document.fullscreenElement ? document.exitFullscreen() : this.stage.requestFullscreen()), { title: "Full screen (f)" }));
    }
    return el("div", { class: "controls" }, ...parts);
  }

  close() {
    this.closed = true;
    this.watch.disconnect();
    removeEventListener("theme", this.redraw);
    if (!this.medium) return;
    this.medium.pause();
    this.medium.removeAttribute("src");
    this.medium.load();
  }

  get now() { return this.clock.currentTime; }
  get paused() { return this.clock.paused; }

  async toggle() {
    if (!this.clock.paused) return this.clock.pause();
    if (this.medium && this.medium.ended) this.medium.currentTime = 0;
    try { await this.clock.play(); } catch { /* the error event of the medium says it */ }
    return undefined;
  }

  seek(t) {
    this.clock.currentTime = Math.min(Math.max(t, 0), this.duration);
    this.tell(Math.min(Math.max(t, 0), this.duration));
  }

  /** Tell the time at every repaint while playing. */
  run() {
    const step = () => {
      if (this.closed || this.clock.paused) return;
      if (!this.framewise) this.tell();
      requestAnimationFrame(step);
    };
    step();
    this.tell();
  }

  tell(t = this.clock.currentTime) {
    if (this.closed) return;
    this.shown = t;
    if (this.playButton) {
      relabel(this.playButton, this.clock.paused ? "play" : "pause", this.clock.paused ? "Play (space)" : "Pause (space)");
      this.time.textContent = `${clock(t, 1)} / ${clock(this.duration, 1)}`;
    }
    this.draw();
    this.portray(t);
    this.ontime(t);
  }

  /** Cut portraits out of the picture for those who wait for one, as soon as they are in it. */
  portray(t) {
    const picture = this.sources.video ? this.medium : this.sources.image ? this.stage.querySelector("img") : null;
    if (!this.portraits.size || !this.shape || !picture || !(picture.readyState >= 2 || picture.complete)) return;
    for (const { person, box } of this.faces(t)) {
      if (!this.portraits.has(person)) continue;
      const [w, h] = this.shape, side = 1.25 * Math.max(box[2] * w, box[3] * h);
      const canvas = el("canvas", { width: 132, height: 132 });
      canvas.getContext("2d").drawImage(picture, (box[0] + box[2] / 2) * w - side / 2, (box[1] + box[3] / 2) * h - side / 2, side, side, 0, 0, 132, 132);
      this.portraits.get(person)(canvas);
      this.portraits.delete(person);
    }
  }

  /** Loudness over time, as [0 … 1], to be drawn for a sound. */
  setPeaks(peaks) {
    this.peaks = peaks;
    this.draw();
  }

  faces(t) {
    return this.people.faces.flatMap((person) => {
      const box = person.boxAt(t);
      if (!box) return [];
      const cell = at(person.lanes.fused, t) ?? at(person.said.face, t);
      return [{ person, box, name: person.name, label: cell?.label, confidence: cell?.confidence ?? 0, uncertain: cell?.uncertain, chosen: person === this.chosen }];
    });
  }

  draw() {
    const t = this.shown ?? 0;
    if (this.leaf?.isConnected) this.turn(t);
    paint(this.canvas, (pen, width, height) => {
      if (this.stage.classList.contains("sounding")) return this.drawWave(pen, width, height, t);
      if (!this.showBoxes || !this.shape) return undefined;
      this.place = fit(...this.shape, width, height);
      return drawFaces(pen, this.faces(t), this.place);
    });
  }

  turn(t) {
    const far = (thumbnail) => Math.abs(thumbnail.time - t);
    const nearest = this.thumbnails.reduce((a, b) => (far(b) < far(a) ? b : a));
    if (this.leaf.src !== nearest.image) this.leaf.src = nearest.image;
  }

  drawWave(pen, width, height, t) {
    const colours = theme(), lane = this.people.list[0]?.lanes.fused ?? [];
    const count = Math.floor(width / 3), middle = height / 2;
    for (let i = 0; i < count; i++) {
      const time = ((i + 0.5) / count) * this.duration, cell = at(lane, time);
      const peak = this.peaks ? this.peaks[Math.min(this.peaks.length - 1, Math.floor((i / count) * this.peaks.length))] : 0.04;
      const tall = Math.max(2, peak * (height - 12));
      const colour = cell && !cell.uncertain ? colourOf(cell.label) : colours.soft;
      pen.fillStyle = time <= t ? colour : mix(colour, colours.card, 0.55);
      pen.beginPath();
      pen.roundRect(i * 3, middle - tall / 2, 2, tall, 1);
      pen.fill();
    }
    pen.fillStyle = colours.link;
    pen.fillRect((t / this.duration) * width - 1, 0, 2, height);
  }

  click(event) {
    if (event.target.closest(".reopen")) return;
    const box = this.canvas.getBoundingClientRect();
    if (this.stage.classList.contains("sounding")) {
      this.seek(((event.clientX - box.left) / box.width) * this.duration);
      return;
    }
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const hit = this.place && this.faces(this.shown ?? 0).find((face) => {
      const [left, top, w, h] = placed(face.box, this.place);
      return x >= left && x <= left + w && y >= top && y <= top + h;
    });
    if (hit) this.onpick(hit.person);
    else if (this.playButton) this.toggle();
  }

  /** Keys that work anywhere on the page. Returns whether this was one. */
  key(event) {
    if (!this.playButton) return false;
    const step = event.shiftKey ? 5 : 0.5;
    const acts = {
      " ": () => this.toggle(), k: () => this.toggle(), ArrowLeft: () => this.seek(this.now - step), ArrowRight: () => this.seek(this.now + step),
      Home: () => this.seek(0), End: () => this.seek(this.duration), m: () => this.mute?.click(),
      ",": () => this.seek(this.now - 0.04), ".": () => this.seek(this.now + 0.04),
      f: () => (document.fullscreenElement ? document.exitFullscreen() : this.sources.video && this.stage.requestFullscreen()),
    };
    if (!Object.hasOwn(acts, event.key)) return false;
    acts[event.key]();
    return true;
  }
}

/** A sound's samples, and its peaks for a waveform: the loudest sample of each of `count` stretches, the loudest of all is 1. */
export async function peaksOf(data, count = 1200) {
  const context = new OfflineAudioContext(1, 1, 16000);
  const sound = await context.decodeAudioData(data);
  const samples = sound.getChannelData(0), size = Math.max(1, Math.floor(samples.length / count));
  const peaks = [];
  for (let i = 0; i + size <= samples.length; i += size) {
    let most = 0;
    for (let j = i; j < i + size; j++) most = Math.max(most, Math.abs(samples[j]));
    peaks.push(most);
  }
  const loudest = Math.max(...peaks, 1e-6);
  return { peaks: peaks.map((v) => v / loudest), duration: sound.duration, samples, rate: sound.sampleRate };
}
