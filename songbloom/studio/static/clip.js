// The style clip: an example, a file or a recording, and which ten seconds of it are used.

import { BASE, button, el, icon, known, noServer, t, toast } from "./core.js";
import { drawWave, peaksHere } from "./wave.js";

const LENGTH_S = 10;
const MOST_SHOWN_BYTES = 80e6; // decoding more would fill a phone's memory

const sound = new Audio();
let chosen = null; // {name, example} or {name, file, audio, start}
let place = null;
let until = Infinity;

export const name = (stem) => (known(stem) ? t(stem) : stem.replaceAll("_", " "));

/** What is chosen as {blob, start}, or null. */
export async function clip() {
  if (!chosen) return null;
  if (!chosen.example) return { blob: chosen.file, start: chosen.start ?? 0, name: chosen.name };
  const answer = await fetch(`${BASE}/studio/examples/${chosen.example}`).catch(() => {
    throw noServer();
  });
  const blob = await answer.blob();
  return { blob, start: 0, name: chosen.example };
}

export function mountClip(box, examples) {
  const cards = examples.map((stem) => exampleCard(stem));
  const input = el("input", { type: "file", accept: "audio/*,.flac,.aiff,.opus", id: "sb-file", class: "sb-file", onchange: () => take(input.files[0]) });
  const pick = el("label", { for: "sb-file", class: "sb-button wide" }, icon("up"), el("span", {}, t("upload")));
  const recordButton = button("mic", t("record"), () => record(recordButton), { text: true });
  place = el("div", { class: "sb-clip-view", "aria-live": "polite" });
  box.replaceChildren(
    el("h2", {}, t("style")),
    el("p", { class: "sb-hint" }, t("style_hint")),
    el("div", { class: "sb-clips", role: "radiogroup", "aria-label": t("style") }, ...cards),
    el("div", { class: "sb-row" }, input, pick, recordButton),
    place,
  );
  box.addEventListener("dragover", (event) => event.preventDefault());
  box.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
  show();
}

function exampleCard(stem) {
  const radio = el("input", { type: "radio", name: "sb-example", value: stem, onchange: () => choose({ name: stem, example: stem }) });
  const play = button("play", t("clip_play", { name: name(stem) }), () => hear(`${BASE}/studio/examples/${stem}`, stem), { kind: "round" });
  play.dataset.clip = stem;
  return el("div", { class: "sb-clip" }, el("label", {}, radio, el("span", {}, name(stem))), play);
}

/** Play or stop a clip, from `start` for ten seconds. */
function hear(url, stem, start = 0) {
  const same = sound.dataset.clip === stem && !sound.paused;
  sound.pause();
  if (same) return;
  sound.src = url;
  sound.dataset.clip = stem;
  sound.currentTime = start;
  until = start + LENGTH_S;
  sound.play();
}

for (const event of ["play", "pause", "ended"]) {
  sound.addEventListener(event, () => {
    for (const play of document.querySelectorAll("[data-clip]")) {
      const on = play.dataset.clip === sound.dataset.clip && !sound.paused;
      play.replaceChildren(icon(on ? "stop" : "play"), ...[...play.children].slice(1));
      play.setAttribute("aria-pressed", on);
    }
  });
}
sound.addEventListener("timeupdate", () => sound.currentTime >= until && sound.pause());

function choose(what) {
  chosen = what;
  for (const radio of document.querySelectorAll("[name=sb-example]")) radio.checked = radio.value === what?.example;
  show();
}

/** Use a file; `start` seconds into it the clip begins. */
export async function take(file, title = file.name, start = 0) {
  choose({ name: title, file, start });
  if (file.size < MOST_SHOWN_BYTES) {
    try {
      const audio = await new OfflineAudioContext(1, 1, 24000).decodeAudioData(await file.arrayBuffer());
      if (chosen?.file === file) choose({ ...chosen, audio, url: URL.createObjectURL(file) });
    } catch {
      return; // the service reads more formats than a browser does
    }
  }
}

function show() {
  if (!place) return;
  if (!chosen || chosen.example) {
    place.replaceChildren();
    return;
  }
  if (!chosen.audio) {
    place.replaceChildren(el("p", {}, t("clip_unseen", { name: chosen.name })));
    return;
  }
  const { audio } = chosen;
  const last = Math.max(0, audio.duration - LENGTH_S);
  const canvas = el("canvas", { class: "sb-wave", "aria-hidden": "true" });
  const peaks = peaksHere(audio);
  const paint = () => drawWave(canvas, peaks, { from: chosen.start / audio.duration, to: (chosen.start + LENGTH_S) / audio.duration, played: 1 });
  const slider = el("input", { type: "range", min: 0, max: last.toFixed(1), step: 0.1, value: chosen.start, id: "sb-clip-start" });
  const told = el("output", { for: "sb-clip-start" });
  const move = (start) => {
    chosen.start = Math.round(start * 10) / 10;
    slider.value = chosen.start;
    told.textContent = `${chosen.start.toFixed(1)} s`;
    paint();
  };
  slider.addEventListener("input", () => move(Number(slider.value)));
  const listen = button("play", t("clip_hear"), () => hear(chosen.url, "own", chosen.start), { text: true });
  listen.dataset.clip = "own";
  const best = button("star", t("clip_best"), () => move(fullest(audio)), { text: true });
  const choice = last
    ? [el("div", { class: "sb-row" }, el("label", { for: "sb-clip-start" }, t("clip_start")), slider, told), el("div", { class: "sb-row" }, best, listen)]
    : [el("p", {}, t("clip_whole", { s: audio.duration.toFixed(1) })), listen];
  place.replaceChildren(el("strong", {}, chosen.name), canvas, ...choice);
  move(chosen.start);
}

/** Where the ten seconds begin whose half seconds are loudest on the logarithmic scale, so that pauses count. */
function fullest(audio) {
  const data = audio.getChannelData(0);
  const hop = Math.round(audio.sampleRate / 2);
  const levels = [];
  for (let at = 0; at + hop <= data.length; at += hop) {
    let power = 0;
    for (let i = at; i < at + hop; i++) power += data[i] ** 2;
    levels.push(10 * Math.log10(power / hop + 1e-6));
  }
  const width = LENGTH_S * 2;
  let [best, most] = [0, -Infinity];
  for (let start = 0; start + width <= levels.length; start++) {
    const sum = levels.slice(start, start + width).reduce((a, b) => a + b, 0);
    if (sum > most) [best, most] = [start, sum];
  }
  return Math.min(best / 2, Math.max(0, audio.duration - LENGTH_S));
}

let recorder = null;

async function record(recordButton) {
  if (recorder) {
    recorder.stop();
    return;
  }
  let stream;
  recordButton.disabled = true; // until the browser has asked its user
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    toast(t("record_refused"), { kind: "bad" });
    return;
  } finally {
    recordButton.disabled = false;
  }
  const parts = [];
  const label = (text, picture) => recordButton.replaceChildren(icon(picture), el("span", {}, text));
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = async () => {
    recorder = null;
    label(t("record"), "mic");
    for (const track of stream.getTracks()) track.stop();
    const data = await new Blob(parts).arrayBuffer();
    const audio = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(data);
    take(wav(audio), t("recording"));
  };
  recorder.start();
  label(t("record_stop"), "stop");
}

/** 16-bit WAV of the first channel: what a browser records is in a form that few programs read. */
function wav(audio) {
  const samples = audio.getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (at, word) => [...word].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + samples.length * 2, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, audio.sampleRate, true);
  view.setUint32(28, audio.sampleRate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, index) => view.setInt16(44 + index * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new File([view.buffer], "recording.wav", { type: "audio/wav" });
}
