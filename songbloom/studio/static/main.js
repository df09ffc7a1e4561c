// Puts the parts into the places that Gradio's layout leaves for them.

import { BASE, api, button, el, heed, keepKey, local, t, tell, whenThere } from "./core.js";
import { mountClip } from "./clip.js";
import { create, filled } from "./create.js";
import { mountNow } from "./jobs.js";
import { mountLibrary } from "./library.js";
import { mountLyrics } from "./lyrics.js";
import { mountModel } from "./models.js";

Object.assign(window.songbloom ?? (window.songbloom = {}), { create, filled });

const examples = fetch(`${BASE}/studio/examples`).then((answer) => answer.json()).catch(() => ({ clips: [], lyrics: {} }));

// A shared address carries its key after the #, which browsers send to nobody.
const carried = new URLSearchParams(location.hash.slice(1)).get("key");
if (carried) {
  keepKey(carried);
  history.replaceState(null, "", location.pathname + location.search);
} else if (local("key")) keepKey(local("key"));

whenThere("#sb-header", (box) => {
  document.body.classList.toggle("dark", window.SONGBLOOM.dark); // Gradio has just set what the system prefers
  const theme = button("theme", t("theme_label"), () => {
    const dark = document.body.classList.toggle("dark");
    try {
      localStorage.setItem("songbloom.theme", dark ? "dark" : "light");
    } catch {
      return; // it holds for this visit
    }
  });
  const language = el("button", { type: "button", class: "sb-button", "aria-label": t("language_label"), onclick: () => {
    const other = window.SONGBLOOM.language === "zh" ? "en" : "zh";
    try {
      localStorage.setItem("songbloom.language", other);
    } catch {
      location.search = `lang=${other}`;
      return;
    }
    const url = new URL(location);
    url.searchParams.delete("lang");
    location.replace(url);
    if (url.href === location.href) location.reload();
  } }, t("language"));
  const key = button("key", t("key"), askKey);
  box.replaceChildren(
    el("a", { href: "#sb-lyrics", class: "sb-skip" }, t("skip")),
    el("div", { class: "sb-brand" }, el("img", { src: "own/icon.svg", alt: "", width: 40, height: 40 }), el("div", {}, el("h1", {}, "SongBloom Studio"), el("p", {}, t("tagline")))),
    el("div", { class: "sb-row" }, language, theme, key));
});
whenThere("#sb-lyrics-help", async (box) => mountLyrics(box, (await examples).lyrics));
whenThere("#sb-clip", async (box) => mountClip(box, (await examples).clips));
whenThere("#sb-now", mountNow);
whenThere("#sb-library", mountLibrary);
whenThere("#sb-model", mountModel);

heed("show-create", () => {
  document.querySelector("#sb-tabs [role=tab]")?.click();
  document.querySelector("#sb-lyrics")?.scrollIntoView({ block: "center" });
});

let dialog = null;
heed("key", askKey);
api("GET", "/jobs?limit=1").catch(() => {}); // if a key is needed, it is asked for now

function askKey() {
  if (dialog?.open) return;
  const input = el("input", { type: "password", autocomplete: "off", id: "sb-key", value: local("key") ?? "" });
  const save = async (value) => {
    keepKey(value);
    dialog.close();
    if (value) tell("signed-in");
  };
  dialog = el("dialog", { class: "sb sb-card", "aria-labelledby": "sb-key-text" },
    el("form", { method: "dialog", onsubmit: () => save(input.value.trim() || null) },
      el("label", { for: "sb-key", id: "sb-key-text" }, t("key_ask")), input,
      el("div", { class: "sb-row" }, el("button", { class: "sb-button main", type: "submit" }, t("key_save")),
        el("button", { class: "sb-button", type: "button", onclick: () => save(null) }, t("key_forget")),
        el("button", { class: "sb-button", type: "button", onclick: () => dialog.close() }, t("close")))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
