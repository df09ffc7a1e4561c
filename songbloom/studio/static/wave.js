// Pictures of sound on a canvas: peaks with section marks, and a spectrogram.

import { BASE, el, headers, t } from "./core.js";

const COLOURS = { intro: "#64748b", verse: "#7c3aed", chorus: "#db2777", bridge: "#d97706", inst: "#0891b2", outro: "#64748b", silence: "#94a3b8" };

export const colourOf = (kind) => COLOURS[kind] ?? "#7c3aed";

/** Fit a canvas to its box and to the screen's pixels; its context with CSS pixels as units. */
function fitted(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return [context, width, height];
}

/**
 * Draw peaks (0 to 1) as bars.
 * @param marks sections as {kind, from, to} in shares of the whole; they colour the bars.
 * @param played share of the whole that has been heard.
 */
export function drawWave(canvas, peaks, { marks = [], played = 0, from = 0, to = 1 } = {}) {
  const [context, width, height] = fitted(canvas);
  const count = Math.max(1, Math.floor(width / 3));
  const loudest = peaks.reduce((most, peak) => Math.max(most, peak), 0.05);
  for (let bar = 0; bar < count; bar++) {
    const share = bar / count;
    const first = Math.floor(share * peaks.length);
    const part = peaks.slice(first, Math.max(first + 1, Math.floor(((bar + 1) / count) * peaks.length)));
    const size = Math.max(1.5, (Math.max(0, ...part) / loudest) * (height - 4));
    const mark = marks.find((entry) => share >= entry.from && share < entry.to);
    context.fillStyle = colourOf(mark?.kind);
    context.globalAlpha = share < from || share > to ? 0.18 : share <= played ? 1 : 0.6;
    context.fillRect(bar * 3, (height - size) / 2, 2, size);
  }
  context.globalAlpha = 1;
}

/** Peaks of a song's file, from the service. */
export async function peaksOf(job, sample, points = 400) {
  const answer = await fetch(`${BASE}/download/${job}/${sample}/peaks?points=${points}`, { headers: headers() });
  return answer.ok ? (await answer.json()).peaks : [];
}

/** Peaks of decoded audio, for clips that are only in the browser. */
export function peaksHere(audio, points = 600) {
  const data = audio.getChannelData(0);
  const size = data.length / points;
  return Array.from({ length: points }, (_, index) => {
    let most = 0;
    for (let at = Math.floor(index * size); at < (index + 1) * size && at < data.length; at += 4) most = Math.max(most, Math.abs(data[at]));
    return most;
  });
}

const SIZE = 1024;

/** Magnitudes of one window of `SIZE` samples, in place: an iterative radix-2 transform. */
function transform(real, imaginary) {
  for (let i = 1, j = 0; i < SIZE; i++) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [real[i], real[j]] = [real[j], real[i]];
  }
  for (let length = 2; length <= SIZE; length <<= 1) {
    const angle = (-2 * Math.PI) / length;
    for (let start = 0; start < SIZE; start += length) {
      for (let k = 0; k < length / 2; k++) {
        const [a, b] = [start + k, start + k + length / 2];
        const [cos, sin] = [Math.cos(angle * k), Math.sin(angle * k)];
        const [re, im] = [real[b] * cos - imaginary[b] * sin, real[b] * sin + imaginary[b] * cos];
        [real[b], imaginary[b]] = [real[a] - re, imaginary[a] - im];
        [real[a], imaginary[a]] = [real[a] + re, imaginary[a] + im];
      }
    }
  }
}

/** Fetch a song, decode it and draw its spectrogram; the canvas. */
export async function spectrogram(url) {
  const data = await (await fetch(url, { headers: headers() })).arrayBuffer();
  const audio = await new OfflineAudioContext(1, 1, 32000).decodeAudioData(data);
  const samples = audio.getChannelData(0);
  const [width, height] = [600, 128];
  const canvas = el("canvas", { width, height, class: "sb-spectrogram", role: "img", "aria-label": t("spectrogram_of") });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let x = 0; x < width; x++) {
    const start = Math.floor((x / width) * Math.max(0, samples.length - SIZE));
    const [real, imaginary] = [new Float32Array(SIZE), new Float32Array(SIZE)];
    for (let i = 0; i < SIZE && start + i < samples.length; i++) {
      real[i] = samples[start + i] * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
    }
    transform(real, imaginary);
    for (let y = 0; y < height; y++) {
      let most = 0;
      for (let k = 0; k < SIZE / 2 / height; k++) {
        const bin = y * (SIZE / 2 / height) + k;
        most = Math.max(most, Math.hypot(real[bin], imaginary[bin]));
      }
      const level = Math.min(1, Math.max(0, (20 * Math.log10(most + 1e-6) + 45) / 85));
      const at = ((height - 1 - y) * width + x) * 4;
      picture.data.set([255 * Math.min(1, level * 1.6), 255 * level ** 2.2, 90 + 110 * Math.sin(level * 3), 255], at);
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}
