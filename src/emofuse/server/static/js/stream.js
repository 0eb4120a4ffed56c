// One live session with the server: pictures and sound out, measurements in. See docs/api.md.

const PICTURE = 1, SOUND = 2, VERSION = 1, HEADER = 16;
const UNANSWERED = 5; // pictures under way at most; the engine answers some only when later ones come
const FORGOTTEN = 1500; // ms after which an unanswered picture is given up
const CLOGGED = 512 * 1024; // bytes not yet sent

export class Stream extends EventTarget {
  constructor({ video, audio, asr, rate }) {
    super();
    this.underway = new Map(); // number → when its picture was taken (performance.now)
    this.number = 0;
    this.sent = { pictures: 0, held: 0 };
    this.begun = performance.now();
    const query = new URLSearchParams({ video: Number(video), audio: Number(audio), asr: Number(asr), rate });
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/stream?${query}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    this.socket.onclose = (event) => this.dispatchEvent(new CustomEvent("closed", { detail: { opened: this.ready, code: event.code, reason: this.reason ?? "lost" } }));
  }

  get open() { return this.ready && this.socket.readyState === WebSocket.OPEN; }

  /** Seconds since the session began. */
  get now() { return (performance.now() - this.begun) / 1000; }

  hear(message) {
    if (message.type === "session.created") this.ready = true;
    if (message.type === "session.closed") this.reason = message.reason;
    if (message.type === "measurement" && message.kind === "face" && message.number !== undefined) {
      message.taken = this.underway.get(message.number);
      // Those before it were dropped for it.
      for (const number of this.underway.keys()) if (number <= message.number) this.underway.delete(number);
    }
    if (message.type === "error") this.underway.clear();
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  /** Whether another picture may be sent now; counts those that may not. */
  room() {
    const now = performance.now();
    for (const [number, taken] of this.underway) if (now - taken > FORGOTTEN) this.underway.delete(number);
    const free = this.open && this.underway.size < UNANSWERED && this.socket.bufferedAmount < CLOGGED;
    if (!free && this.open) this.sent.held++;
    return free;
  }

  sendPicture(jpeg, taken) {
    if (!this.open) return;
    this.underway.set(++this.number, taken);
    this.sent.pictures++;
    this.send(PICTURE, this.number, (taken - this.begun) / 1000, jpeg);
  }

  sendSound(samples, seconds) {
    if (this.open && this.socket.bufferedAmount < CLOGGED) this.send(SOUND, 0, seconds, samples.buffer);
  }

  send(kind, number, seconds, data) {
    const message = new Uint8Array(HEADER + data.byteLength), head = new DataView(message.buffer);
    head.setUint8(0, kind);
    head.setUint8(1, VERSION);
    head.setUint32(4, number, true);
    head.setBigUint64(8, BigInt(Math.max(0, Math.round(seconds * 1e6))), true);
    message.set(new Uint8Array(data), HEADER);
    this.socket.send(message);
  }

  /** Ask for what is still to be said, then end; in any case within a few seconds. */
  close(patience = 3000) {
    if (this.open) this.socket.send(JSON.stringify({ type: "session.close" }));
    setTimeout(() => this.socket.close(), this.ready ? patience : 0);
  }
}
