// Numbers and times as people read them.

/** The modalities in order; `learnModalities` adds those of other packages. */
export const MODALITIES = ["face", "speech", "text"];
export const NAMES = { fused: "result", face: "face", speech: "voice", text: "words" };

/** Take modality → name of a result. */
export function learnModalities(names = {}) {
  for (const [id, name] of Object.entries(names)) {
    if (!MODALITIES.includes(id)) MODALITIES.push(id);
    NAMES[id] = name;
  }
}

export const percent = (x) => `${Math.round(100 * x)}\u00a0%`;

/** A number in [-1, 1] with its sign. */
export const signed = (x) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(2)}`;

/** Seconds as 1:05 or, with digits, 1:05.3. */
export function clock(seconds, digits = 0) {
  const unit = 10 ** digits;
  const all = Math.round(Math.max(0, seconds) * unit);
  const whole = Math.floor(all / unit);
  const parts = whole >= 3600 ? [Math.floor(whole / 3600), pad(Math.floor(whole / 60) % 60)] : [Math.floor(whole / 60)];
  const tail = digits ? `.${String(all % unit).padStart(digits, "0")}` : "";
  return [...parts, pad(whole % 60)].join(":") + tail;
}
const pad = (n) => String(n).padStart(2, "0");

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return `${i && n < 10 ? Number(n.toFixed(1)) : Math.round(n)}\u00a0${units[i]}`;
}

export function personName(subject) {
  const [kind, number] = subject.split("-");
  if (kind === "person") return `Person ${number}`;
  if (kind === "face") return `Face ${number}`;
  if (kind === "speaker" && number === "0") return "Unknown voice";
  if (kind === "voice") return `Voice ${number}`;
  if (kind === "speaker") return number === "1" ? "Voice" : `Voice ${number}`;
  return "Everybody";
}

export const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** From this disagreement on, face, voice and words contradict each other. */
export const STRONG = 0.5;
export function contradiction(x) {
  return x < 0.2 ? "they agree" : x < STRONG ? "they differ somewhat" : "they contradict each other";
}

const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
export function since(iso) {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return ago.format(Math.round(seconds / size), unit);
  }
  return "just now";
}
