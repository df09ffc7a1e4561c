// A song heard while it is composed: samples of the service's stream, each played as soon as there is enough.

import { BASE, headers } from "./core.js";

const AHEAD_S = 1.5; // to have before sound begins, and again after it has run dry
const PEAK_S = 0.1;
const RETRY_MS = 2000;

const pause = () => new Promise((go) => setTimeout(go, RETRY_MS));

let context = null; // made with the first click, or the browser keeps it silent

/** To be called in a click. */
export function allowSound() {
  context ??= new AudioContext({ latencyHint: "playback" });
  context.resume();
}

export class Live {
  /** @param changed called whenever bytes have come or the state has changed */
  constructor(job, sample, changed) {
    Object.assign(this, { job, sample, changed, bytes: 0, frames: 0, refused: false, finished: false, peaks: [], waiting: true, ended: false, stopped: false });
    this.ahead = []; // buffers not yet scheduled
    this.next = 0; // when the next one sounds, on the context's clock
    this.began = null;
    this.nodes = new Set();
    this.stopper = new AbortController();
  }

  /** Seconds that have sounded. */
  heard() {
    return this.began === null ? 0 : Math.max(0, Math.min(context.currentTime - this.began, this.scheduled ?? 0));
  }

  async play() {
    allowSound();
    try {
      while (!(await this.#listen())) await pause();
    } finally {
      this.ended = true;
      if (!this.stopped) this.#schedule();
      this.changed(this);
    }
  }

  /** Take the stream from where it broke off; whether there is no more of it. */
  async #listen() {
    try {
      const from = this.frames ? (this.frames + 0.5) / this.rate : 0; // half a sample, so that none comes twice
      const url = `${BASE}/jobs/${this.job}/stream?format=pcm&sample=${this.sample}&from_s=${from}`;
      const answer = await fetch(url, { headers: headers(), signal: this.stopper.signal });
      if (!answer.ok) return (this.refused = answer.status < 500);
      this.rate = Number(answer.headers.get("X-Sample-Rate"));
      this.channels = Number(answer.headers.get("X-Channels"));
      await this.#read(answer.body.getReader());
      if (this.stopped) return true;
      this.ended = true;
      this.#schedule();
      await pause();
      return this.stopped || this.finished || (this.ended = false); // a server that stops ends its streams too
    } catch {
      return this.stopped;
    }
  }

  stop() {
    this.stopped = true;
    this.stopper.abort();
    for (const node of this.nodes) node.stop();
    this.nodes.clear();
    this.changed(this);
  }

  async #read(reader) {
    const width = 2 * this.channels;
    let rest = new Uint8Array(0);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.bytes += value.length;
      const all = new Uint8Array(rest.length + value.length);
      all.set(rest);
      all.set(value, rest.length);
      const whole = all.length - (all.length % width);
      rest = all.slice(whole);
      if (whole) this.#take(new Int16Array(all.buffer, 0, whole / 2));
      this.#schedule();
      this.changed(this);
    }
  }

  #take(samples) {
    const frames = samples.length / this.channels;
    this.frames += frames;
    const buffer = context.createBuffer(this.channels, frames, this.rate);
    for (let channel = 0; channel < this.channels; channel++) {
      const data = buffer.getChannelData(channel);
      for (let frame = 0; frame < frames; frame++) data[frame] = samples[frame * this.channels + channel] / 32768;
    }
    const data = buffer.getChannelData(0);
    const step = Math.round(PEAK_S * this.rate);
    for (let at = 0; at < frames; at += step) {
      let most = 0;
      for (let i = at; i < Math.min(frames, at + step); i += 4) most = Math.max(most, Math.abs(data[i]));
      this.peaks.push(most);
    }
    this.ahead.push(buffer);
  }

  /** Give the context what is there, unless too little is there to go on without a gap. */
  #schedule() {
    const dry = this.next < context.currentTime + 0.02;
    const have = this.ahead.reduce((sum, buffer) => sum + buffer.duration, 0);
    this.waiting = dry && have < AHEAD_S && !this.ended;
    if (this.waiting || !have) return;
    if (dry) this.next = context.currentTime + 0.1;
    for (const buffer of this.ahead) {
      const node = context.createBufferSource();
      node.buffer = buffer;
      node.connect(context.destination);
      node.onended = () => this.nodes.delete(node);
      node.start(this.next);
      this.nodes.add(node);
      this.began ??= this.next;
      this.next += buffer.duration;
      this.scheduled = (this.scheduled ?? 0) + buffer.duration;
    }
    this.ahead = [];
  }
}
