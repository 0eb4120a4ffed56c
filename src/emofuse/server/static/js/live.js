// Camera and microphone, live.
import { Bars } from "../viewer/bars.js";
import { Camera, Microphone, devices, open } from "./capture.js";
import { theme } from "../viewer/colour.js";
import { button, el, honest, icon, paint, relabel, save, toast, toggle } from "../viewer/dom.js";
import { MODALITIES, clock, personName } from "../viewer/format.js";
import { Lanes } from "../viewer/lanes.js";
import { drawFaces, fit, placed } from "../viewer/overlay.js";
import { BINS, HIGHEST, hertzOf, ramp } from "../viewer/spectrogram.js";
import { COLOURS } from "../viewer/vocabulary.js";
import { People, cellOf, firstAfter, parts } from "../viewer/people.js";
import { Recording } from "./record.js";
import { Stream } from "./stream.js";

const WINDOW = 30; // seconds on the timeline
const PER_SECOND = 12; // pictures sent at most
const TALK = 2; // seconds of push-to-talk
const STALE = 1; // seconds after which a face that was not seen again is let go
const COLUMNS = 30; // of the spectrogram, a second

const SHOWN = [
  ["Boxes", "Each face that is found, with its most probable label; dashed where that is uncertain. Faces have numbers, not names: who leaves and comes back may get a new one. Click on a name above the bars to follow somebody."],
  ["Bars", "What is said of the chosen person now: the result of face, voice and words, what each says by itself, and how much it counted. They move with every picture and are provisional."],
  ["The last 30 seconds", "What has been settled, a slot of half a second after the other. It comes about one to two seconds late, because a voice is heard in windows of up to 3 seconds and the results are smoothed."],
  ["Sound and spectrogram", "The loudness, and how much of each frequency there is: low ones at the bottom, up to 7.6 kHz. The rungs are the voice's overtones. This is drawn by the browser and is not what the models see."],
  ["Uncertain", "Hatched or gray: the face is too small or blurred, the sound too noisy or too short, face and voice contradict each other, or no expression is much more probable than the others."],
  ["How it keeps up", "From picture to label: the time until a picture that the camera took has been answered. A slow computer skips pictures instead of falling behind."],
];

/** What the view shows, for those who see it for the first time. */
function explained() {
  return el("details", { class: "card explained" }, el("summary", { textContent: "What this shows" }),
    el("dl", { class: "how" }, ...SHOWN.flatMap(([term, text]) => [el("dt", { textContent: term }), el("dd", { textContent: text })])));
}

export class Live {
  constructor(health) {
    this.version = health?.version ?? "";
    this.state = "idle"; // idle, starting, running, paused
    this.wants = { video: true, audio: true, asr: true, mirror: true, blur: false, talk: false };
    this.ids = { video: "", audio: "" };
    this.root = el("div", { class: "live", dataset: { fresh: "yes" } });
    this.build();
    this.listDevices();
    this.onchange = () => this.devicesChanged();
    navigator.mediaDevices?.addEventListener?.("devicechange", this.onchange);
  }

  // ---- the page
  build() {
    this.canvas = el("canvas", { class: "view", role: "img", "aria-label": "Camera with faces and labels" });
    this.hello = el("div", { class: "hello" }, el("div", { class: "drop-icons", "aria-hidden": "true" }, icon("camera"), icon("mic")),
      el("p", { textContent: "Expressions from your camera and microphone, as they happen." }),
      this.startButton = button("play", "Start", () => this.start(), { class: "primary big" }),
      el("p", { class: "small", textContent: "The browser asks for permission first." }));
    this.badge = el("p", { class: "badge", hidden: true });
    this.stage = el("div", { class: "stage pictured" }, this.canvas, this.hello, this.badge);
    this.message = el("div", { class: "messages", role: "alert" });
    this.pickers = { video: this.picker("video", "Camera"), audio: this.picker("audio", "Microphone") };
    this.pauseButton = button("pause", "Pause", () => this.pause(), { title: "Pause (space)", disabled: true });
    this.stopButton = button("stop", "Stop", () => this.stop(), { title: "Stop (q)", disabled: true });
    this.recordButton = button("record", "Record", () => this.record(), { title: "Record; it stays in this browser", disabled: true, class: "recorder" });
    this.talkButton = button("mic", "Talk (a)", () => this.talk(), { title: "Listen for 2 seconds (a)", hidden: true, disabled: true });
    this.controls = el("div", { class: "controls" }, this.pauseButton, this.stopButton, this.recordButton, this.talkButton,
      el("span", { class: "spring" }), toggle("blur faces", false, (on) => { this.wants.blur = on; }, { title: "On the screen and in recordings" }),
      toggle("mirror", true, (on) => { this.wants.mirror = on; }));
    this.stats = el("dl", { class: "stats", "aria-label": "How it keeps up" });
    this.tabs = el("div", { class: "tabs", role: "group", "aria-label": "Person" });
    this.bars = new Bars(Object.keys(COLOURS));
    this.saying = el("p", { class: "small saying" });
    this.live = el("p", { class: "sr", role: "status", "aria-live": "polite" });
    this.lanes = new Lanes({ duration: WINDOW, live: true });
    this.lanes.addTrack("sound", 40, (...given) => this.drawWave(...given));
    this.lanes.addTrack("spectro-\ngram", 64, (...given) => this.drawSpectrum(...given), `Spectrogram, up to ${HIGHEST / 1000} kHz`);
    this.recordings = el("div", { class: "recordings" });
    const voice = el("select", { id: "voice", onchange: () => this.setTalk(voice.value === "talk") },
      el("option", { value: "always", textContent: "all the time" }), el("option", { value: "talk", textContent: "for 2 s on key a" }));
    this.voice = voice;
    this.words = toggle("recognize words", true, (on) => { this.wants.asr = on; if (this.state !== "idle") toast("Counts from the next start."); });
    this.root.append(
      el("p", { class: "private" }, icon("face"), el("span", { textContent: "All on the machine that this server runs on. Nothing is stored unless you record, and a recording stays in this browser." })),
      this.message,
      el("div", { class: "watch" },
        el("div", {}, el("div", { class: "player" }, this.stage, this.controls), this.recordings),
        el("section", { class: "card side", "aria-label": "Now" }, this.tabs, this.bars.root, this.saying)),
      el("section", { class: "card past", "aria-label": "Timeline" }, el("h2", { textContent: `The last ${WINDOW} seconds` }), this.lanes.root),
      el("section", { class: "card set" }, el("h2", { textContent: "Devices" }),
        el("div", { class: "fields" }, this.pickers.video.root, this.pickers.audio.root,
          el("div", { class: "field" }, el("label", { for: "voice", textContent: "Listen" }), voice), this.words),
        this.stats, el("p", { class: "small keys", textContent: "Keys: space pauses, a listens for two seconds, q stops." })),
      explained(), honest(), this.live);
    this.fresh();
    this.painting = requestAnimationFrame(() => this.paint());
  }

  picker(kind, name) {
    const select = el("select", { id: `pick-${kind}`, onchange: () => this.pick(kind, select.value) });
    const root = el("div", { class: "field" }, el("label", { for: `pick-${kind}`, textContent: name }), select);
    return { root, select };
  }

  async listDevices() {
    const found = await devices();
    for (const kind of ["video", "audio"]) {
      const { select } = this.pickers[kind];
      select.replaceChildren(el("option", { value: "", textContent: "default" }), ...found[kind].map((d) => el("option", { value: d.id, textContent: d.name })), el("option", { value: "none", textContent: "none" }));
      select.value = this.wants[kind] ? this.ids[kind] : "none";
      if (select.selectedIndex < 0) select.value = "";
    }
    return found;
  }

  fresh() {
    this.people = new People();
    this.faces = new Map(); // subject → where it is drawn, where it was seen last, and what is said of it
    this.now = new Map(); // subject → provisional estimate
    this.who = new Map(); // face track → person
    this.chosen = this.picked = null;
    this.seenAt = this.answeredAt = undefined;
    this.wave = []; // {time, low, high}
    this.spectra = el("canvas", { width: WINDOW * COLUMNS, height: BINS }); // a ring of columns
    this.column = null;
    this.told = { latency: [], server: null };
    this.tabs.replaceChildren();
    this.bars.show(null, {});
    this.saying.textContent = "";
  }

  say(text) { this.message.replaceChildren(...(text ? [].concat(text) : []).map((line) => el("p", { class: "note", textContent: line }))); }

  // ---- starting and stopping
  async start() {
    if (this.state !== "idle") return;
    this.set("starting");
    this.fresh();
    this.say("");
    const wanted = ["video", "audio"].filter((kind) => this.wants[kind]);
    const problems = [];
    for (const kind of wanted) {
      try { await this.openDevice(kind); } catch (error) { problems.push(error.message); }
      if (this.closed) { this.release(); return; }
    }
    if (!wanted.length) problems.push("Choose a camera or a microphone.");
    this.say(problems);
    this.listDevices();
    if (!this.camera && !this.microphone) { this.set("idle"); return; }
    this.begun = performance.now();
    this.connect();
  }

  async openDevice(kind) {
    const stream = await open(kind, this.ids[kind]);
    stream.getTracks()[0].addEventListener("ended", () => this.lost(kind));
    if (kind === "video") {
      this.camera?.close();
      this.camera = new Camera(stream);
      await this.camera.play();
      const [width, height] = this.camera.shape;
      if (width) this.stage.style.setProperty("--shape", width / height);
    } else {
      this.microphone?.close();
      this.microphone = await Microphone.make(stream);
      this.microphone.on = !this.wants.talk;
      this.microphone.listen((samples, taken) => this.hearSound(samples, taken));
    }
  }

  connect() {
    const stream = new Stream({ video: Boolean(this.camera), audio: Boolean(this.microphone), asr: this.wants.asr, rate: this.microphone?.rate ?? 16000 });
    this.stream = stream;
    stream.base = (stream.begun - this.begun) / 1000; // its clock on ours
    const on = (type, act) => stream.addEventListener(type, (event) => this.stream === stream && act(event.detail));
    on("session.created", (detail) => { this.session = detail; this.set("running"); this.sendPictures(stream); });
    on("measurement", (detail) => this.take(detail, stream.base));
    on("stats", (detail) => { this.told.server = detail; this.showStats(); });
    on("identity", (detail) => this.identify(detail));
    on("voice", ({ subject }) => this.identify({ subject: "speaker-1", person: this.who.get(subject) ?? subject }));
    on("note", (detail) => toast(detail.message));
    on("error", (detail) => { if (detail.fatal) this.say(detail.error.message); });
    on("closed", (detail) => this.disconnected(detail));
  }

  disconnected({ opened, reason }) {
    this.stream = null;
    if (this.state === "paused" && reason === "idle") return; // going on opens another session
    if (this.state === "idle") return;
    const reasons = {
      stopping: "The server is shutting down.", "too-many-errors": "The server ended the session: too much of what came was not understood.",
      error: "The server ended the session because of a fault of its own.", idle: "The session ended because nothing came any more.",
    };
    this.say(opened ? reasons[reason] ?? "The connection to the server broke off. Start again when it is back."
      : "The server did not open a live session. It may have as many as it takes, or need its token: reload the page to see.");
    this.stop();
  }

  set(state) {
    this.state = state;
    const running = state === "running" || state === "paused";
    if (running) delete this.root.dataset.fresh;
    this.hello.hidden = state !== "idle" && state !== "starting";
    this.startButton.disabled = state === "starting";
    this.startButton.lastChild.textContent = state === "starting" ? "Starting …" : "Start";
    for (const node of [this.pauseButton, this.stopButton, this.recordButton, this.talkButton]) node.disabled = !running;
    relabel(this.pauseButton, state === "paused" ? "play" : "pause", state === "paused" ? "Go on (space)" : "Pause (space)", state === "paused" ? "Go on" : "Pause");
    this.badge.hidden = state !== "paused";
    this.badge.textContent = "paused";
    this.root.dataset.state = state;
  }

  pause() {
    if (this.state === "running") {
      this.set("paused");
      if (this.microphone) this.microphone.on = false; // a recording goes on, still and silent
    } else if (this.state === "paused") {
      if (this.microphone) this.microphone.on = !this.wants.talk;
      this.set("running");
      if (!this.stream) this.connect(); // the server let the silent session go
      else this.sendPictures(this.stream);
    }
  }

  async stop() {
    if (this.state === "idle") return;
    this.set("idle");
    if (this.recording) await this.record();
    this.stream?.close();
    this.release();
  }

  release() {
    this.camera?.close();
    this.microphone?.close();
    this.camera = this.microphone = null;
    paint(this.canvas, () => {});
  }

  close() {
    this.closed = true;
    cancelAnimationFrame(this.painting);
    this.stream?.close(0);
    this.stream = null;
    this.release();
    this.lanes.close();
    navigator.mediaDevices?.removeEventListener?.("devicechange", this.onchange);
  }

  // ---- devices that come and go
  async pick(kind, id) {
    this.wants[kind] = id !== "none";
    this.ids[kind] = id === "none" ? "" : id;
    if (this.state === "idle" || this.state === "starting") return;
    const had = kind === "video" ? this.camera : this.microphone;
    if (!this.wants[kind] || !had) { // the session was opened with other tracks
      await this.stop();
      await this.start();
      return;
    }
    try { await this.openDevice(kind); } catch (error) { this.say(error.message); }
  }

  lost(kind) {
    if (this.state === "idle" || this.closed) return;
    this.say(kind === "video" ? "The camera is gone. Sound goes on; plug it in again to go on with pictures." : "The microphone is gone. Pictures go on; plug it in again to go on with sound.");
    this.missing = kind;
  }

  async devicesChanged() {
    const found = await this.listDevices();
    const kind = this.missing;
    if (!kind || this.state === "idle" || !found[kind].length) return;
    try {
      await this.openDevice(kind);
      this.missing = null;
      this.say("");
    } catch { /* not yet: the next change of devices tries again */ }
  }

  // ---- sending
  async sendPictures(stream) {
    const pause = 1000 / PER_SECOND;
    while (this.stream === stream && this.state === "running" && this.camera) {
      const before = performance.now();
      if (stream.room()) {
        const picture = await this.camera.picture();
        if (picture && this.stream === stream && this.state === "running") stream.sendPicture(picture.jpeg, picture.taken);
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(4, pause - (performance.now() - before))));
    }
  }

  hearSound(samples, taken) {
    const time = (taken - this.begun) / 1000, step = samples.length / 8;
    for (let i = 0; i < 8; i++) {
      let low = 0, high = 0;
      for (let j = Math.floor(i * step); j < (i + 1) * step && j < samples.length; j++) { low = Math.min(low, samples[j]); high = Math.max(high, samples[j]); }
      this.wave.push({ start: time + (i * step) / this.microphone.rate, end: time + ((i + 1) * step) / this.microphone.rate, low: low / 32768, high: high / 32768 });
    }
    if (this.wave.length > 2 * WINDOW * 80) this.wave.splice(0, WINDOW * 80);
    if (this.state !== "running" || !this.stream?.open) return;
    const seconds = (taken - this.stream.begun) / 1000;
    if (seconds >= 0) this.stream.sendSound(samples, seconds);
  }

  setTalk(on) {
    this.wants.talk = on;
    this.voice.value = on ? "talk" : "always";
    this.talkButton.hidden = !on;
    if (this.microphone) this.microphone.on = !on;
  }

  /** Push to talk: two seconds of sound, then silence again. */
  talk() {
    if (this.state !== "running" || !this.microphone) return;
    if (!this.wants.talk) {
      this.setTalk(true);
      toast("Listening only on key a from now on; “Listen: all the time” switches back.");
    }
    this.microphone.on = true;
    this.badge.hidden = false;
    this.badge.textContent = "listening …";
    clearTimeout(this.talking);
    this.talking = setTimeout(() => {
      if (this.microphone && this.wants.talk) this.microphone.on = false;
      this.badge.hidden = this.state !== "paused";
    }, TALK * 1000);
  }

  // ---- what comes back
  take(message, base) {
    const estimates = message.estimates.map((e) => ({ ...e, start: e.start + base, end: e.end + base }));
    const { kind } = message;
    if (kind === "provisional") {
      for (const e of estimates) { e.heard = this.time; this.now.set(e.subject, e); }
    } else {
      for (const e of estimates) {
        this.people.add(e);
        this.recording?.add(e);
        this.recorded?.add(e);
      }
    }
    if (kind === "face") this.takeFaces(message, estimates);
    if (kind === "text") this.saying.textContent = `“${estimates[0]?.details?.text ?? ""}”`;
    this.choose();
    this.showNow();
  }

  /** A face is somebody known: it has their name, and the place of their last one among the tabs. */
  identify({ subject, person }) {
    const follows = !this.now.has(this.chosen) || this.time - this.now.get(this.chosen).heard > 2;
    if (follows && this.who.get(this.chosen) === person) this.picked = this.chosen = subject;
    this.who.set(subject, person);
    const known = this.people.get(subject);
    if (known) known.name = personName(person);
    this.tabKey = null;
    this.choose();
  }

  name(subject) { return personName(this.who.get(subject) ?? subject); }

  takeFaces(message, estimates) {
    if (message.taken) {
      this.told.latency.push(performance.now() - message.taken);
      if (this.told.latency.length > 60) this.told.latency.shift();
    }
    this.answeredAt = this.time;
    if (estimates.length) this.seenAt = this.time;
    for (const e of estimates) {
      const face = this.faces.get(e.subject) ?? { box: e.details.box.slice() };
      this.faces.set(e.subject, Object.assign(face, { target: e.details.box, seen: this.time, estimate: e }));
    }
  }

  get time() { return (performance.now() - this.begun) / 1000; }

  /** People of the moment, as tabs; who is gone keeps the tab until somebody else is chosen. */
  choose(subject) {
    // A voice speaks in stretches; a face that is not seen is gone.
    const age = (e) => this.time - e.heard, face = (s) => s.startsWith("face");
    const present = [...this.now.values()].filter((e) => age(e) < (face(e.subject) ? 2 : 4));
    const current = present.map((e) => e.subject).sort(new Intl.Collator("en", { numeric: true }).compare);
    if (subject) this.picked = this.chosen = subject;
    // Unless the user has said whom: who was chosen, if a face; the first face; or else the voice.
    const keep = current.includes(this.chosen) && (face(this.chosen) || !current.some(face));
    if (current.length && !keep && !current.includes(this.picked)) [this.chosen] = current;
    const key = `${current.join()}/${this.chosen}`;
    if (key !== this.tabKey) {
      this.tabKey = key;
      this.tabs.replaceChildren(...current.map((s) => el("button", { type: "button", textContent: this.name(s), "aria-pressed": String(s === this.chosen), onclick: () => this.choose(s) })));
      this.lanes.setPeople(this.shownPeople(), this.people.labels.size ? this.people.labels : new Set(Object.keys(COLOURS)));
    }
    const shown = this.shownPeople();
    if (shown.length !== this.lanes.charts.length || shown.some((p, i) => p !== this.lanes.charts[i].person)) this.lanes.setPeople(shown, this.people.labels);
  }

  /** Whom the last seconds tell about: the chosen one in full, then those with the latest results. */
  shownPeople() {
    const from = this.time - WINDOW, lane = (p) => p.lanes.fused;
    const rank = (p) => (p.subject === this.chosen ? Infinity : lane(p)[lane(p).length - 1].end);
    this.lanes.brief = (p) => p.subject !== this.chosen;
    return this.people.list.filter((p) => firstAfter(lane(p), from) < lane(p).length).sort((a, b) => rank(b) - rank(a)).slice(0, 4);
  }

  showNow() {
    const e = this.now.get(this.chosen);
    const fresh = e && this.time - e.heard < 4;
    this.bars.show(fresh ? cellOf(e) : null, fresh ? { ...Object.fromEntries(MODALITIES.map((m) => [m, null])), ...parts(e) } : {});
    const text = fresh ? `${this.name(e.subject)}: ${e.uncertain ? "uncertain" : e.label}` : "";
    if (text && text !== this.live.textContent && this.time - (this.spoke ?? -9) > 3) {
      this.live.textContent = text;
      this.spoke = this.time;
    }
  }

  showStats() {
    const ordered = [...this.told.latency].sort((a, b) => a - b), of = (part) => Math.round(ordered[Math.floor(part * (ordered.length - 1))]);
    const { server } = this.told, sent = this.stream?.sent ?? { pictures: 0, held: 0 };
    const rows = [];
    if (ordered.length) rows.push(["from picture to label", `${of(0.5)} ms (95 %: ${of(0.95)} ms)`]);
    if (this.camera) {
      const rate = this.lastSent === undefined ? 0 : sent.pictures - this.lastSent;
      rows.push(["pictures", `${Math.max(0, rate)} a second`], ["dropped pictures", `${(server?.dropped.pictures ?? 0) + sent.held}`]);
      this.lastSent = sent.pictures;
    }
    if (this.microphone) rows.push(["sound", server?.dropped.seconds ? `${server.dropped.seconds.toFixed(1)} s dropped` : "complete"]);
    rows.push(["running", clock(this.time)]);
    if (this.session) rows.push(["words", this.session.asr ?? "none"]);
    this.stats.replaceChildren(...rows.flatMap(([name, value]) => [el("div", {}, el("dt", { textContent: name }), el("dd", { textContent: value }))]));
  }

  // ---- drawing, at the rate of the display
  paint() {
    if (this.closed) return;
    this.painting = requestAnimationFrame(() => this.paint());
    const now = performance.now(), passed = Math.min(0.2, (now - (this.paintedAt ?? 0)) / 1000);
    if (passed < 0.025) return; // cameras give 30 pictures a second at most
    this.paintedAt = now;
    if (this.state === "running" && this.camera) paint(this.canvas, (pen, width, height) => this.drawStage(pen, width, height, passed));
    else if (this.state === "running" && this.microphone) paint(this.canvas, (pen, width, height) => this.drawVoice(pen, width, height));
    if (this.state !== "running") return;
    this.takeSpectrum();
    if (now - (this.lanesAt ?? 0) < 120) return;
    this.lanesAt = now;
    this.lanes.view = [this.time - WINDOW, this.time];
    this.lanes.draw();
  }

  drawStage(pen, width, height, passed) {
    const { video } = this.camera, [w, h] = this.camera.shape;
    if (!w) return;
    const place = fit(w, h, width, height), { mirror, blur } = this.wants;
    // No face found for a while: there may be one all the same, so that nothing may be sharp.
    const blind = blur && (this.seenAt === undefined || this.time - this.seenAt > 0.8 * STALE);
    pen.save();
    if (mirror) { pen.translate(width, 0); pen.scale(-1, 1); }
    if (blind) pen.filter = "blur(24px)";
    pen.drawImage(video, place.x, place.y, place.width, place.height);
    pen.restore();
    const near = 1 - Math.exp(-passed / 0.07), faces = [];
    for (const [subject, face] of this.faces) {
      // Gone, if later pictures were without it; where no later one was answered, it may still be there.
      const age = this.time - face.seen - (face.seen < this.answeredAt ? 0 : 1.5);
      if (age > STALE) { this.faces.delete(subject); continue; }
      face.box = face.box.map((v, k) => v + (face.target[k] - v) * near);
      const said = this.now.get(subject);
      const e = said && this.time - said.heard < 2 ? said : face.estimate;
      faces.push({ box: face.box, name: this.name(subject), label: e.label, confidence: e.confidence, uncertain: e.uncertain, age, chosen: subject === this.chosen && this.faces.size > 1 });
    }
    if (blur && !blind) for (const { box } of faces) this.smear(pen, video, [w, h], box, place);
    drawFaces(pen, faces, place, mirror);
  }

  /** Paint a face over with a few large blocks of itself. */
  smear(pen, video, [w, h], box, place) {
    const [x, y, bw, bh] = [box[0] - box[2] * 0.2, box[1] - box[3] * 0.3, box[2] * 1.4, box[3] * 1.5];
    this.blocks ??= el("canvas", { width: 8, height: 10 });
    const small = this.blocks.getContext("2d");
    small.drawImage(video, x * w, y * h, bw * w, bh * h, 0, 0, 8, 10);
    const [left, top, wide, tall] = placed([x, y, bw, bh], place, this.wants.mirror);
    pen.save();
    pen.beginPath();
    pen.ellipse(left + wide / 2, top + tall / 2, wide / 2, tall / 2, 0, 0, 7);
    pen.clip();
    pen.imageSmoothingEnabled = true;
    pen.drawImage(this.blocks, left, top, wide, tall);
    pen.restore();
  }

  /** Without a camera: the voice as a ring. */
  drawVoice(pen, width, height) {
    const recent = this.wave.slice(-48), e = this.now.get(this.chosen);
    const colour = e && this.time - e.heard < 4 && !e.uncertain ? COLOURS[e.label] ?? "#888888" : "#888888";
    const r = Math.min(width, height) * 0.22;
    pen.strokeStyle = colour;
    pen.lineCap = "round";
    pen.lineWidth = 4;
    recent.forEach(({ low, high }, i) => {
      const angle = (i / recent.length) * 2 * Math.PI - Math.PI / 2, tall = 4 + Math.min(1, (high - low) * 2) * r;
      pen.beginPath();
      pen.moveTo(width / 2 + Math.cos(angle) * r, height / 2 + Math.sin(angle) * r);
      pen.lineTo(width / 2 + Math.cos(angle) * (r + tall), height / 2 + Math.sin(angle) * (r + tall));
      pen.stroke();
    });
    pen.fillStyle = colour;
    pen.font = "600 18px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(e && this.time - e.heard < 4 ? (e.uncertain ? "uncertain" : e.label) : "listening", width / 2, height / 2);
  }

  drawWave(pen, x, [from, to], height, colours) {
    pen.fillStyle = colours.empty;
    pen.fillRect(x.from, 0, x.to - x.from, height);
    pen.fillStyle = colours.soft;
    for (let i = firstAfter(this.wave, from); i < this.wave.length && this.wave[i].start < to; i++) {
      const { start, end, low, high } = this.wave[i], loud = Math.max(Math.sqrt(high), Math.sqrt(-low));
      pen.fillRect(x(start), height / 2 - (loud * height) / 2, Math.max(1, x(end) - x(start) - 0.3), Math.max(1, loud * height));
    }
  }

  /** The spectrum of this moment into the ring of columns, on a scale like the ear's. */
  takeSpectrum() {
    const index = Math.floor(this.time * COLUMNS), last = this.column ?? index - 1;
    if (!this.microphone || index === last) return;
    const analyser = this.microphone.spectrum;
    this.levels ??= new Uint8Array(analyser.frequencyBinCount);
    analyser.getByteFrequencyData(this.levels);
    const hertz = this.microphone.rate / analyser.fftSize, colours = theme();
    const pen = this.spectra.getContext("2d"), picture = pen.createImageData(1, BINS);
    if (this.paper !== colours.empty) [this.paper, this.shades] = [colours.empty, ramp(colours)];
    for (let row = 0; row < BINS; row++) {
      const level = this.levels[Math.min(this.levels.length - 1, Math.round(hertzOf(row) / hertz))];
      picture.data.set(this.shades[level >> 2], (BINS - 1 - row) * 4);
    }
    // A slow computer skips columns: they are filled with the next.
    const width = WINDOW * COLUMNS;
    for (let c = Math.max(last + 1, index - width + 1); c <= index; c++) pen.putImageData(picture, c % width, 0);
    this.column = index;
  }

  drawSpectrum(pen, x, view, height, colours) {
    pen.fillStyle = colours.empty;
    pen.fillRect(x.from, 0, x.to - x.from, height);
    if (this.column === null) return;
    const width = WINDOW * COLUMNS, seam = (this.column + 1) % width, end = (this.column + 1) / COLUMNS;
    const scale = (x.to - x.from) / width;
    pen.save();
    pen.beginPath();
    pen.rect(x.from, 0, x.to - x.from, height);
    pen.clip();
    const start = x(end - WINDOW); // where the oldest column belongs
    if (seam < width) pen.drawImage(this.spectra, seam, 0, width - seam, BINS, start, 0, (width - seam) * scale, height);
    if (seam > 0) pen.drawImage(this.spectra, 0, 0, seam, BINS, start + (width - seam) * scale, 0, seam * scale, height);
    pen.restore();
  }

  // ---- recording
  async record() {
    if (this.recording) {
      const recording = this.recording;
      this.recording = null;
      this.recorded = recording; // late results still belong to it
      await recording.stop(this.time);
      relabel(this.recordButton, "record", "Record; it stays in this browser", "Record");
      this.recordButton.classList.remove("on");
      this.offer(recording);
      return;
    }
    const tracks = [...(this.camera ? this.canvas.captureStream(25).getVideoTracks() : []), ...(this.microphone ? this.microphone.out.stream.getAudioTracks() : [])];
    try {
      this.recording = new Recording(new MediaStream(tracks), {
        start: this.time, pictured: Boolean(this.camera), shape: this.camera?.shape, rate: this.microphone?.rate, models: this.session?.models ?? {}, version: this.version,
      });
    } catch (error) {
      this.say(`This browser cannot record: ${error.message}`);
      return;
    }
    relabel(this.recordButton, "stop", "End the recording", "End recording");
    this.recordButton.classList.add("on");
  }

  offer(recording) {
    const name = `emofuse-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`;
    const row = el("div", { class: "card recorded" }, el("b", { textContent: `Recording, ${clock(recording.seconds, 1)}` }),
      button("download", recording.pictured ? "video" : "sound", () => save(recording.media, `${name}.${recording.suffix}`)),
      button("download", "JSON", () => save(new Blob([recording.json(`${name}.${recording.suffix}`)], { type: "application/json" }), `${name}.json`)),
      button("download", "CSV", () => save(new Blob([recording.csv(`${name}.${recording.suffix}`)], { type: "text/csv" }), `${name}.csv`)),
      button("trash", "", () => row.remove(), { title: "Discard the recording" }));
    this.recordings.append(row);
  }

  // ---- keys
  key(event) {
    if (event.repeat) return false;
    if (event.key === " " && (this.state === "running" || this.state === "paused")) this.pause();
    else if (event.key === "a" && this.state === "running") this.talk();
    else if (event.key === "q" && this.state !== "idle") this.stop();
    else return false;
    return true;
  }
}
