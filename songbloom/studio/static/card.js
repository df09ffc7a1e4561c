// A finished song: takes to compare, waveform with section marks, lyrics that follow, and what can be done with it.

import { BASE, api, button, clock, el, explain, heed, icon, t, tell, toast } from "./core.js";
import { anotherTake } from "./again.js";
import { useAgain } from "./create.js";
import { report } from "./lyrics.js";
import * as player from "./player.js";
import { colourOf, drawWave, peaksOf, spectrogram } from "./wave.js";

/** Sections and their lines in shares of the song, of a model that tells when it sings each line. */
export function told(lines, seconds) {
  const marks = [];
  for (const { section, line, start_s, end_s } of lines) {
    const [from, to] = [start_s / seconds, end_s / seconds];
    const last = marks.at(-1);
    const again = line && last?.kind === section && from - last.to < 2 / seconds;
    if (again) last.to = to;
    else marks.push({ kind: section, from, to, lines: [] });
    if (line) marks.at(-1).lines.push({ text: line, from, to });
  }
  return marks;
}

/**
 * The same for models that do not tell: the lyric's plan, stretched to the song's length. It is an estimate. A song
 * that was cut short has sung the plan at its own pace.
 */
export function timing(plan, seconds, cut) {
  const whole = cut ? seconds : plan.seconds || 1;
  let at = 0;
  const marks = plan.sections.map((section) => {
    const from = at / whole;
    at += section.seconds;
    const to = Math.min(1, at / whole);
    const sizes = section.phonemes.map((line) => line.split(" ").length);
    const sum = sizes.reduce((a, b) => a + b, 0) || 1;
    let begin = from;
    const lines = section.lines.map((text, index) => {
      const end = begin + ((at / whole - from) * sizes[index]) / sum;
      const line = { text, from: begin, to: end };
      begin = end;
      return line;
    });
    return { kind: section.kind, from, to, lines };
  });
  return marks.filter((mark) => mark.from < 1);
}

export function songCard(song, { full = false } = {}) {
  const card = el("article", { class: "sb-card", "data-job": song.job.job_id, "aria-label": song.title });
  let sample = 0;
  let marks = [];
  let peaks = [];
  const { job } = song;
  const take = () => job.samples[sample];

  const canvas = el("canvas", { class: "sb-wave" });
  const wave = el("div", { class: "sb-wavebox", role: "slider", tabindex: 0, "aria-label": t("waveform", { title: song.title }), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }, canvas, el("div", { class: "sb-marks" }));
  const share = () => (player.isCurrent(job.job_id, sample) ? player.place() : 0);
  const paint = () => card.isConnected && drawWave(canvas, peaks, { marks, played: share() });
  const goTo = (value) => {
    if (player.isCurrent(job.job_id, sample)) player.seek(value);
    else player.toggle(job.job_id, sample, song.title, player.within(value) * take().seconds);
  };
  wave.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    goTo((event.clientX - box.left) / box.width);
  });
  wave.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 5, ArrowUp: 5, ArrowLeft: -5, ArrowDown: -5 }[event.key];
    if (!step) return;
    event.preventDefault();
    goTo(share() + step / take().seconds);
  });
  new ResizeObserver(paint).observe(wave);

  const play = button("play", t("play"), () => player.toggle(job.job_id, sample, song.title), { kind: "round main" });
  const words = el("div", { class: "sb-words" });
  const estimate = el("p", { class: "sb-hint" }, t("estimate"));
  const choose = async (number) => {
    if (player.isCurrent(job.job_id, sample) && number !== sample) player.toggle(job.job_id, number, song.title);
    sample = number;
    head();
    [peaks, marks] = await Promise.all([peaksOf(job.job_id, sample), planOf()]);
    showMarks();
    paint();
  };
  const planOf = async () => {
    try {
      const { lines } = await api("GET", `/download/${job.job_id}/${sample}/lines`);
      estimate.hidden = lines !== null;
      if (lines) return told(lines, take().seconds);
      const cut = job.status === "cancelled" || (job.settings.max_duration && take().seconds > job.settings.max_duration - 0.8);
      return timing(await report(job.lyrics), take().seconds, cut);
    } catch {
      return []; // lyrics that only the model of then could read
    }
  };
  const showMarks = () => {
    wave.lastChild.replaceChildren(...marks.map((mark) => {
      const wide = mark.to - mark.from > 0.09;
      const label = el("span", { title: t(mark.kind) }, wide ? t(mark.kind) : "");
      label.style.left = `${mark.from * 100}%`;
      label.style.maxWidth = `${(mark.to - mark.from) * 100}%`;
      label.style.borderColor = colourOf(mark.kind);
      return label;
    }));
    words.replaceChildren(...marks.flatMap((mark) => [el("h4", {}, t(mark.kind)), ...mark.lines.map((line) => {
      const row = el("button", { type: "button", onclick: () => goTo(line.from) }, line.text);
      Object.assign(row, { from: line.from, to: line.to });
      return row;
    })]));
  };
  const follow = () => {
    const sounding = player.isSounding(job.job_id, sample);
    play.replaceChildren(icon(sounding ? "pause" : "play"));
    play.setAttribute("aria-label", sounding ? t("pause") : t("play"));
    play.title = play.getAttribute("aria-label");
    wave.setAttribute("aria-valuenow", Math.round(share() * 100));
    wave.setAttribute("aria-valuetext", clock(share() * take().seconds));
    paint();
    if (!player.isCurrent(job.job_id, sample)) return;
    for (const row of words.querySelectorAll("button")) row.classList.toggle("now", share() >= row.from && share() < row.to);
  };
  heed("played", () => card.isConnected && follow());
  heed("song", (other) => {
    if (other === song || other.job.job_id !== job.job_id || other.trashed_at) return;
    Object.assign(song, other); // changed on another card
    head();
  });

  const title = el("div", { class: "sb-head" });
  const takes = el("div", { class: "sb-row sb-takes", role: "group" });
  const head = () => {
    const star = button("star", t("favourite"), () => change({ favourite: !song.favourite }), { kind: song.favourite ? "on" : "" });
    star.setAttribute("aria-pressed", song.favourite);
    const about = [new Date(job.created_at).toLocaleString(document.documentElement.lang), clock(take().seconds), job.model].join(" · ");
    title.replaceChildren(play, el("div", { class: "sb-names" }, el("h3", {}, song.title), el("p", { class: "sb-hint" }, about),
      el("p", { class: "sb-tags" }, ...song.tags.map((tag) => el("span", {}, tag)))), star);
    const several = job.samples.length > 1;
    takes.replaceChildren(...(several ? job.samples.map((entry) => {
      const pick = el("button", { type: "button", class: "sb-take", "aria-pressed": entry.sample_id === sample, onclick: () => choose(entry.sample_id) }, t("take", { n: entry.sample_id + 1 }));
      return pick;
    }) : []));
  };
  const change = async (changes) => {
    try {
      Object.assign(song, await api("PATCH", `/library/${job.job_id}`, { json: changes }));
      head();
      tell("song", song);
    } catch (error) {
      explain(error);
    }
  };
  const link = () => `${location.origin}${BASE}${take().url}`;
  const again = button("dice", t("another"), async () => {
    again.disabled = true;
    await anotherTake(song);
    again.disabled = false;
  }, { text: true });
  const actions = el("div", { class: "sb-row sb-actions" },
    button("down", t("download"), () => el("a", { href: link(), download: "" }).click(), { text: true, kind: "sb-download" }),
    button("again", t("use_again"), () => useAgain(song, take().seed), { text: true }),
    again,
    button("share", t("share"), () => share_(link(), song, job), {}),
    button("edit", t("edit"), () => edit(card, song, change), {}),
    button("bin", t("delete"), () => remove(card, song), {}));
  card.append(title, takes, wave, actions, details(job, take, [estimate, words], full));
  choose(0);
  return card;
}

/** The part that opens: lyrics, settings and seed, spectrogram. */
function details(job, take, words, open) {
  const place = el("div", { class: "sb-row" });
  const show = button("again", t("spectrogram"), async () => {
    show.disabled = true;
    try {
      place.replaceChildren(await spectrogram(BASE + take().url));
    } catch (error) {
      explain(error);
      show.disabled = false;
    }
  }, { text: true });
  place.append(show);
  const settings = () => JSON.stringify({ model: job.model, ...job.settings, seed: take().seed }, null, 1);
  const copy = button("again", t("copy_settings"), async () => {
    await navigator.clipboard.writeText(settings());
    toast(t("copied"));
  }, { text: true });
  const code = el("pre", { tabindex: 0 });
  const box = el("details", { open, ontoggle: () => (code.textContent = settings()) },
    el("summary", {}, t("details")), ...words, code, copy, place);
  return box;
}

async function share_(url, song, job) {
  const file = `${song.title}.${job.format}`;
  try {
    const data = await (await fetch(url)).blob();
    const files = [new File([data], file, { type: data.type })];
    if (navigator.canShare?.({ files })) return await navigator.share({ files, title: song.title });
    await navigator.clipboard.writeText(url);
    toast(t("shared_link"));
  } catch (error) {
    if (error.name !== "AbortError") explain(error);
  }
}

function edit(card, song, change) {
  card.querySelector("form")?.remove();
  const title = el("input", { value: song.title, maxlength: 200, required: true, "aria-label": t("title") });
  const tags = el("input", { value: song.tags.join(", "), maxlength: 400, "aria-label": t("tags"), placeholder: t("tags") });
  const form = el("form", { class: "sb-row sb-edit" }, title, tags, el("button", { class: "sb-button main", type: "submit" }, t("save")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const list = tags.value.split(/[,，]/).map((tag) => tag.trim()).filter(Boolean);
    await change({ title: title.value, tags: list });
    form.remove();
  });
  card.firstChild.after(form);
  title.focus();
}

async function remove(card, song) {
  try {
    await api("DELETE", `/library/${song.job.job_id}`);
  } catch (error) {
    return explain(error);
  }
  if (player.playing()?.id === song.job.job_id) player.stop();
  tell("song", { ...song, trashed_at: "now" });
  toast(t("deleted", { title: song.title }), { action: t("undo"), onclick: () => restore(song) });
}

export async function restore(song) {
  try {
    tell("song", await api("POST", `/library/${song.job.job_id}/restore`));
  } catch (error) {
    explain(error);
  }
}
