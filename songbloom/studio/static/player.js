// The one player of the page: a finished song in an audio element, with a bar at the foot.

import { BASE, button, clock, el, icon, t, tell, toast } from "./core.js";

const audio = el("audio", { preload: "metadata" });
let current = null; // {id, sample, title}

export const playing = () => current;
export const place = () => (audio.duration ? audio.currentTime / audio.duration : 0);
export const seconds = () => audio.currentTime;
export const isCurrent = (id, sample) => current?.id === id && current.sample === sample;
/** A share of a song that is in it, and not its very end. */
export const within = (share) => Math.min(0.999, Math.max(0, share));
export const sounding = () => current !== null && !audio.paused;
export const pause = () => audio.pause();
export const isSounding = (id, sample) => isCurrent(id, sample) && !audio.paused;

/**
 * Play a sample of a song, or pause it if it sounds; another take of the same song goes on where this one is.
 * @param from seconds to begin at instead
 */
export function toggle(id, sample, title, from) {
  if (isCurrent(id, sample)) {
    if (audio.error) load(audio.currentTime); // the server was away
    if (audio.paused) play();
    else audio.pause();
    return;
  }
  const at = from ?? (current?.id === id ? audio.currentTime : 0);
  current = { id, sample, title };
  load(at);
  play();
  bar().hidden = false;
}

function load(at) {
  audio.src = `${BASE}/download/${current.id}/${current.sample}`;
  audio.currentTime = at;
}

const play = () => audio.play().catch(() => {}); // refused before the first click on the page

export function seek(share) {
  if (audio.duration) audio.currentTime = within(share) * audio.duration;
}

export function stop() {
  audio.pause();
  current = null;
  bar().hidden = true;
  tell("played");
}

let made = null;

function bar() {
  if (made) return made;
  const title = el("strong");
  const times = el("span", { class: "sb-times" });
  const slider = el("input", { type: "range", min: 0, max: 1, step: 0.001, value: 0, "aria-label": t("position") });
  slider.addEventListener("input", () => seek(Number(slider.value)));
  const toggleButton = button("play", t("play"), () => current && toggle(current.id, current.sample, current.title));
  made = el("section", { id: "sb-player", class: "sb", "aria-label": t("play") }, toggleButton, title, slider, times, button("close", t("close"), stop), audio);
  document.body.append(made);
  const show = () => {
    title.textContent = current?.title ?? "";
    times.textContent = `${clock(audio.currentTime)} / ${clock(audio.duration || 0)}`;
    slider.value = place();
    slider.setAttribute("aria-valuetext", times.textContent);
    const [name, label] = audio.paused ? ["play", t("play")] : ["pause", t("pause")];
    toggleButton.replaceChildren(icon(name));
    toggleButton.setAttribute("aria-label", label);
    toggleButton.title = label;
    tell("played");
  };
  for (const name of ["play", "pause", "timeupdate", "seeked", "ended", "loadedmetadata"]) audio.addEventListener(name, show);
  audio.addEventListener("play", () => tell("playing"));
  audio.addEventListener("error", () => current && toast(t("no_server"), { kind: "bad" }));
  show();
  return made;
}
