// The library: every song made here, searched, starred, deleted and brought back.

import { api, button, el, explain, heed, t } from "./core.js";
import { restore, songCard } from "./card.js";

const PAGE = 12;
const PAUSE_MS = 300;

export function mountLibrary(box) {
  const list = el("div", { class: "sb-list sb-grid" });
  const empty = el("p", { class: "sb-hint" }, t("library_empty"));
  const search = el("input", { type: "search", id: "sb-search", placeholder: t("search"), "aria-label": t("search"), maxlength: 200 });
  const stars = el("input", { type: "checkbox", id: "sb-stars" });
  const bin = el("input", { type: "checkbox", id: "sb-bin" });
  const more = el("button", { type: "button", class: "sb-button", onclick: () => load(next) }, t("more"));
  let next = null;
  let turn = 0;

  const load = async (before = null) => {
    const mine = ++turn;
    const query = new URLSearchParams({ limit: PAGE, search: search.value, favourite: stars.checked, trashed: bin.checked });
    if (before) query.set("before", before);
    try {
      const page = await api("GET", `/library?${query}`);
      if (mine !== turn) return; // asked anew meanwhile
      const cards = page.songs.map((song) => (bin.checked ? binned(song) : songCard(song)));
      if (before) list.append(...cards);
      else list.replaceChildren(...cards);
      next = page.next;
      more.hidden = !next;
      empty.hidden = list.children.length > 0;
    } catch (error) {
      explain(error);
    }
  };
  let timer;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(load, PAUSE_MS);
  });
  for (const check of [stars, bin]) check.addEventListener("change", () => load());
  heed("job", (job) => job.samples.length && job.finished_at && box.isConnected && load());
  heed("song", (song) => {
    const card = list.querySelector(`[data-job="${song.job.job_id}"]`);
    if (song.trashed_at) card?.remove();
    else if (!card || bin.checked) load();
    empty.hidden = list.children.length > 0;
  });
  heed("signed-in", () => load());
  box.setAttribute("aria-label", t("tab_library"));
  box.replaceChildren(
    el("h2", { class: "sb-unseen" }, t("tab_library")),
    el("div", { class: "sb-row" }, search, el("label", { class: "sb-check" }, stars, t("favourites_only")), el("label", { class: "sb-check" }, bin, t("bin"))),
    empty, list, more);
  load();
}

function binned(song) {
  return el("article", { class: "sb-card", "data-job": song.job.job_id }, el("div", { class: "sb-row spread" }, el("h3", {}, song.title), button("up", t("restore"), () => restore(song), { text: true })));
}
