// Cameras and microphones of the browser.

export class CaptureError extends Error {}

const WHAT = { video: "camera", audio: "microphone" };

/** Say in plain words why a device could not be had. */
function explain(error, kind) {
  const what = WHAT[kind];
  const reasons = {
    NotAllowedError: `This page may not use the ${what}. Allow it in the browser's address bar, then start again.`,
    NotFoundError: `No ${what} was found. Plug one in, then start again.`,
    OverconstrainedError: `The chosen ${what} is not there any more. Choose another.`,
    NotReadableError: `The ${what} cannot be read. Another program may be using it.`,
    SecurityError: `The browser does not let this page use the ${what}.`,
  };
  return new CaptureError(reasons[error.name] ?? `The ${what} cannot be used: ${error.message}`);
}

export async function open(kind, id) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new CaptureError(`Browsers lend the ${WHAT[kind]} only to pages on https or on this very machine (http://127.0.0.1).`);
  }
  const device = id ? { deviceId: { exact: id } } : {};
  const wishes = kind === "video"
    ? { video: { ...device, width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } } }
    : { audio: { ...device, echoCancellation: false, noiseSuppression: false, autoGainControl: true, channelCount: 1 } };
  try {
    return await navigator.mediaDevices.getUserMedia(wishes);
  } catch (error) {
    throw explain(error, kind);
  }
}

export async function devices() {
  const all = await (navigator.mediaDevices?.enumerateDevices?.() ?? []);
  const of = (kind) => all.filter((d) => d.kind === kind && d.deviceId).map((d, i) => ({ id: d.deviceId, name: d.label || `${kind === "videoinput" ? "Camera" : "Microphone"} ${i + 1}` }));
  return { video: of("videoinput"), audio: of("audioinput") };
}

/** Pictures of a camera as JPEG, at most `side` pixels wide or tall. */
export class Camera {
  constructor(stream, side = 640) {
    this.stream = stream;
    this.side = side;
    this.video = document.createElement("video");
    Object.assign(this.video, { srcObject: stream, muted: true, playsInline: true });
    this.encoder = new Worker("/static/js/jpeg-worker.js");
  }

  play() { return this.video.play(); }
  get shape() { return [this.video.videoWidth, this.video.videoHeight]; }

  /** A JPEG as ArrayBuffer, and when it was taken; null if there is no picture. One at a time. */
  async picture() {
    const [width, height] = this.shape, scale = Math.min(1, this.side / Math.max(width, height));
    if (!width || this.closed) return null;
    const taken = performance.now();
    const bitmap = await createImageBitmap(this.video, { resizeWidth: Math.round(width * scale), resizeHeight: Math.round(height * scale) });
    const jpeg = await new Promise((resolve) => {
      this.encoder.onmessage = ({ data }) => resolve(data.jpeg);
      this.encoder.postMessage({ bitmap }, [bitmap]);
      this.giveUp = () => resolve(null);
    });
    return jpeg && { jpeg, taken };
  }

  close() {
    this.closed = true;
    for (const track of this.stream.getTracks()) track.stop();
    this.video.srcObject = null;
    this.encoder.terminate();
    this.giveUp?.();
  }
}

/** Sound of a microphone: pieces of 16-bit samples, a spectrum, and a gate that makes it silent. */
export class Microphone {
  static async make(stream) {
    let context = new AudioContext({ sampleRate: 16000 }), source;
    try {
      source = context.createMediaStreamSource(stream);
    } catch { // not every browser resamples a microphone: then the server does
      await context.close();
      context = new AudioContext();
      source = context.createMediaStreamSource(stream);
    }
    await context.audioWorklet.addModule("/static/js/pcm-worklet.js");
    await context.resume();
    return new Microphone(stream, context, source);
  }

  constructor(stream, context, source) {
    Object.assign(this, { stream, context });
    this.gate = context.createGain();
    this.spectrum = context.createAnalyser();
    Object.assign(this.spectrum, { fftSize: 1024, smoothingTimeConstant: 0.2, minDecibels: -90, maxDecibels: -25 });
    this.pieces = new AudioWorkletNode(context, "pcm", { numberOfOutputs: 1 });
    this.out = context.createMediaStreamDestination(); // for recordings
    source.connect(this.gate);
    this.gate.connect(this.spectrum);
    this.gate.connect(this.pieces);
    this.gate.connect(this.out);
    this.pieces.connect(context.destination); // silent; a node without a listener may not run
  }

  get rate() { return Math.round(this.context.sampleRate); }
  get on() { return this.gate.gain.value > 0; }
  set on(yes) { this.gate.gain.value = yes ? 1 : 0; }

  /** told(samples, taken): taken is when the first sample was heard, on performance.now's clock. */
  listen(told) {
    let offset = null;
    this.pieces.port.onmessage = ({ data: { samples, start } }) => {
      const arrived = performance.now() - (start + samples.length / this.rate) * 1000;
      // The sound's clock starts somewhere and may stand still while the computer sleeps.
      if (offset === null || arrived - offset > 400) offset = arrived;
      told(samples, offset + start * 1000);
    };
  }

  close() {
    this.pieces.port.onmessage = null;
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }
}
