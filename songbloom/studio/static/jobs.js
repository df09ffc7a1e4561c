// What is being made in this session: one event stream for all of it, cards with progress, live sound.

import { BASE, api, button, el, explain, heed, icon, parse, session, t, tell } from "./core.js";
import { songCard } from "./card.js";
import { wantsLive } from "./create.js";
import { Live } from "./live.js";
import * as player from "./player.js";
import { drawWave } from "./wave.js";

const RETRY_MS = 4000;
const UNFINISHED = "[data-status=pending], [data-status=processing]";
const MOST = 8; // cards in the column; all songs are in the library

let source = null;
let list = null;
const lives = new Map(); // job id -> Live
const mine = () => session("mine") ?? [];

export async function mountNow(box) {
  const check = el("input", { type: "checkbox", id: "sb-live-first", onchange: () => wantsLive(check.checked) });
  check.checked = wantsLive();
  list = el("div", { class: "sb-list" });
  box.setAttribute("aria-label", t("now"));
  box.replaceChildren(
    el("div", { class: "sb-row spread" }, el("h2", {}, t("now")), el("label", { class: "sb-check" }, check, t("live_first"))),
    el("p", { class: "sb-hint sb-empty" }, t("now_empty")), list);
  for (const id of mine().slice(-MOST)) {
    try {
      show(await api("GET", `/jobs/${id}`));
    } catch (error) {
      if (error.status === 404) session("mine", mine().filter((other) => other !== id));
    }
  }
  if (list.querySelector(UNFINISHED)) connect();
}

heed("ordered", (job) => {
  show(job);
  connect();
  if (matchMedia("(max-width: 800px)").matches) list?.firstChild?.scrollIntoView({ behavior: "smooth", block: "center" });
});
heed("job", (job) => mine().includes(job.job_id) && show(job));
heed("song", (song) => {
  const card = list?.querySelector(`[data-job="${song.job.job_id}"]`);
  if (song.trashed_at) card?.remove();
  else if (!card && mine().includes(song.job.job_id)) show(song.job);
});
heed("playing", () => {
  for (const id of [...lives.keys()]) list?.querySelector(`[data-job="${id}"]`)?.silence?.(); // two at once are none
});

/** One connection follows all jobs; the service closes it when none is left. */
function connect() {
  if (source) return;
  source = new EventSource(`${BASE}/events`);
  const close = () => {
    source?.close();
    source = null;
  };
  source.addEventListener("progress", (event) => tell("job", parse(event.data)));
  source.addEventListener("idle", () => {
    close();
    lookAgain();
  });
  source.onerror = () => {
    if (source?.readyState !== EventSource.CLOSED) return; // it tries again by itself
    close();
    setTimeout(connect, RETRY_MS);
  };
}

/** What ended while nobody told this page, or began as the connection closed. */
async function lookAgain() {
  for (const card of list?.querySelectorAll(UNFINISHED) ?? []) {
    try {
      tell("job", await api("GET", `/jobs/${card.dataset.job}`));
    } catch (error) {
      if (error.status === 404) card.remove();
    }
  }
  if (list?.querySelector(UNFINISHED)) setTimeout(connect, RETRY_MS);
}

function show(job) {
  if (!list) return;
  const old = list.querySelector(`[data-job="${job.job_id}"]`);
  const ended = job.finished_at !== null;
  if (old && !ended && old.update) return old.update(job);
  if (old?.dataset.status === job.status && ended) return;
  const card = ended ? endedCard(job) : workCard(job);
  card.dataset.status = job.status;
  if (old) old.replaceWith(card);
  else list.prepend(card);
  while (list.children.length > MOST) list.lastChild.remove();
}

/** What was heard live goes on in the player, which can be paused and moved. */
function handOver(song) {
  const live = lives.get(song.job.job_id);
  lives.delete(song.job.job_id);
  if (!live || live.stopped) return;
  const at = live.heard();
  live.stop();
  if (!player.sounding() && at < song.job.samples[live.sample].seconds - 0.5) player.toggle(live.job, live.sample, song.title, at);
}

function endedCard(job) {
  if (!job.samples.length) lives.get(job.job_id)?.stop();
  if (job.samples.length) {
    const holder = el("div", { "data-job": job.job_id });
    (async () => {
      try {
        const song = await api("GET", `/library/${job.job_id}`);
        if (song.trashed_at) return holder.remove();
        const card = songCard(song);
        card.dataset.status = job.status;
        if (job.status === "cancelled") card.prepend(el("p", { class: "sb-hint" }, t("cancelled_kept")));
        holder.replaceWith(card);
        handOver(song);
      } catch (error) {
        explain(error);
      }
    })();
    return holder;
  }
  const text = job.status === "failed" ? el("div", { class: "sb-refused" }) : el("p", {}, t("cancelled"));
  if (job.status === "failed") {
    const fields = job.error.field ? [{ field: job.error.field, message: job.error.message }] : [];
    explain({ fields, message: job.error.message }, text);
  }
  const close = button("close", t("close"), () => {
    session("mine", mine().filter((id) => id !== job.job_id));
    card.remove();
  });
  const card = el("article", { class: "sb-card", "data-job": job.job_id }, el("div", { class: "sb-row spread" }, el("h3", {}, job.status === "failed" ? t("failed") : firstLine(job)), close), text);
  return card;
}

const firstLine = (job) => job.lyrics.split("\n").find((line) => line.trim() && !line.trim().startsWith("[")) ?? job.idx;

/** A job that waits or is being made; `card.update` takes what the service tells next. */
function workCard(first) {
  const id = first.job_id;
  const canvas = el("canvas", { class: "sb-wave", "aria-hidden": "true" });
  const state = el("p", { class: "sb-state", role: "status" });
  const bar = el("progress", { max: 1, "aria-label": t("progress") });
  const heard = el("span", { class: "sb-hint sb-heard" });
  const listen = button("play", t("listen_live"), () => (lives.get(id) ? silence() : hear(0)), { text: true, kind: "sb-live" });
  const cancel = button("stop", t("cancel"), () => api("POST", `/jobs/${id}/cancel?keep=true`).then((job) => tell("job", job), explain), { text: true, kind: "sb-cancel" });
  const card = el("article", { class: "sb-card sb-work", "data-job": id }, el("h3", {}, firstLine(first)), state, bar, canvas, el("div", { class: "sb-row" }, listen, cancel, heard));

  const changed = (live) => {
    card.dataset.bytes = live.bytes;
    heard.textContent = live.waiting ? t("live_wait") : t("live_heard", { s: Math.round(live.heard()) });
    if (card.isConnected) drawWave(canvas, live.peaks, { played: 1 });
    if (live.refused && lives.get(id) === live) silence();
  };
  const label = (on) => listen.replaceChildren(icon(on ? "stop" : "play"), el("span", {}, t(on ? "live_stop" : "listen_live")));
  const hear = (sample) => {
    player.pause();
    const live = new Live(id, sample, changed);
    lives.set(id, live);
    label(true);
    live.play();
  };
  const silence = () => {
    const live = lives.get(id);
    lives.delete(id);
    live?.stop();
    label(false);
  };
  card.silence = silence;
  card.update = (job) => {
    const { song_s, expected_s, left_s, note, samples_done } = job.progress;
    card.dataset.status = job.status;
    card.dataset.songS = song_s;
    if (lives.has(id)) lives.get(id).finished = samples_done > lives.get(id).sample;
    const parts = [];
    if (job.cancelling) parts.push(t("cancelling"));
    else if (job.status === "pending") parts.push(t("waiting", { n: job.queue_position ?? 0 }));
    else if (!song_s) parts.push(t("loading"));
    else parts.push(t("composing", { a: song_s.toFixed(0), b: expected_s?.toFixed(0) }));
    if (job.num_samples > 1 && job.status === "processing") parts.push(t("take_of", { a: samples_done + 1, b: job.num_samples }));
    if (left_s && !job.cancelling) parts.push(t("left", { s: Math.max(1, Math.round(left_s)) }));
    if (note) parts.push(note);
    const text = parts.join(" · ");
    if (state.textContent !== text) state.textContent = text;
    if (expected_s) bar.value = Math.min(1, (samples_done + song_s / expected_s) / job.num_samples);
    else bar.removeAttribute("value");
    listen.hidden = job.status !== "processing";
    cancel.disabled = job.cancelling;
    if (job.status === "processing" && !lives.has(id) && wantsLive() && !card.heardOnce && !othersSound(id) && !player.sounding()) {
      card.heardOnce = true;
      hear(0);
    }
  };
  card.update(first);
  return card;
}

/** Whether another song is being heard live: two at once are none. */
function othersSound(id) {
  return [...lives].some(([other, live]) => other !== id && !live.ended && !live.stopped);
}
