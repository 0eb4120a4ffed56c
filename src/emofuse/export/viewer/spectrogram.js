// Spectrograms: how much of each frequency there is over time, on a scale like the ear's.
import { mix } from "./colour.js";
import { el } from "./dom.js";
import { COLOURS } from "./vocabulary.js";

export const BINS = 64;
export const HIGHEST = 7600; // Hz
const SIZE = 512; // samples of one spectrum, at 16 kHz 32 ms
const FLOOR = -75; // decibels below the loudest that are still shown
const PER_SECOND = 50, MOST = 6000; // columns

const mel = (hz) => 2595 * Math.log10(1 + hz / 700);
/** The middle of a row of a spectrogram, in Hz; row 0 is the lowest. */
export const hertzOf = (row) => 700 * (10 ** ((((row + 0.5) / BINS) * mel(HIGHEST)) / 2595) - 1);

/** 64 colours from the page's grey over blue and orange to yellow, as [r, g, b, 255]. */
export function ramp(colours) {
  const stops = [colours.empty, COLOURS.sad, COLOURS.angry, COLOURS.happy];
  return Array.from({ length: 64 }, (_, i) => {
    const at = (i / 63) * 2.999, k = Math.floor(at);
    return [...mix(stops[k], stops[k + 1], at - k).match(/\d+/g).map(Number), 255];
  });
}

/** The power of each frequency of a window of samples (in place, radix 2). */
function powers(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
  }
  for (let size = 2; size <= n; size <<= 1) {
    const step = (-2 * Math.PI) / size;
    for (let k = 0; k < size / 2; k++) {
      const [c, s] = [Math.cos(step * k), Math.sin(step * k)];
      for (let i = k; i < n; i += size) {
        const j = i + size / 2, [a, b] = [re[j] * c - im[j] * s, re[j] * s + im[j] * c];
        re[j] = re[i] - a; im[j] = im[i] - b;
        re[i] += a; im[i] += b;
      }
    }
  }
  return re.map((v, i) => v * v + im[i] * im[i]);
}

/** Levels 0 … 255 of a sound: {columns, levels}, a column after the other, the lowest frequency first. */
export function levelsOf(samples, rate) {
  const columns = Math.max(1, Math.min(MOST, Math.floor((samples.length / rate) * PER_SECOND))), hop = samples.length / columns;
  const taper = Float32Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
  const bins = Array.from({ length: BINS }, (_, row) => Math.round((hertzOf(row) * SIZE) / rate));
  const found = new Float32Array(columns * BINS);
  let loudest = 1e-12;
  for (let c = 0; c < columns; c++) {
    const first = Math.round((c + 0.5) * hop - SIZE / 2), re = taper.map((t, i) => t * (samples[first + i] ?? 0)), power = powers(re, new Float32Array(SIZE));
    for (let row = 0; row < BINS; row++) loudest = Math.max(loudest, found[c * BINS + row] = power[bins[row]]);
  }
  const levels = Uint8Array.from(found, (power) => Math.round(255 * Math.max(0, 1 - (10 * Math.log10(power / loudest + 1e-20)) / FLOOR)));
  return { columns, levels };
}

/** A picture of levels in the theme's colours. */
export function pictureOf({ columns, levels }, colours) {
  const canvas = el("canvas", { width: columns, height: BINS }), pen = canvas.getContext("2d");
  const picture = pen.createImageData(columns, BINS), shades = ramp(colours);
  for (let c = 0; c < columns; c++) for (let row = 0; row < BINS; row++) picture.data.set(shades[levels[c * BINS + row] >> 2], ((BINS - 1 - row) * columns + c) * 4);
  pen.putImageData(picture, 0, 0);
  return canvas;
}
