// The lyrics editor's help: section buttons, structure with expected seconds, warnings, pronunciation, drafts.

import { api, el, local, t, toast, whenThere } from "./core.js";
import { colourOf } from "./wave.js";

const SECTIONS = ["intro", "verse", "chorus", "bridge", "inst", "outro"];
const PAUSE_MS = 400;
const reports = new Map(); // lyric -> promise of its report

/** What the service says about a lyric; asked once for each. */
export function report(lyrics) {
  if (!reports.has(lyrics)) {
    reports.set(lyrics, api("POST", "/lyrics", { json: { lyrics } }));
    if (reports.size > 50) reports.delete(reports.keys().next().value);
    reports.get(lyrics).catch(() => reports.delete(lyrics));
  }
  return reports.get(lyrics);
}

const area = () => document.querySelector("#sb-lyrics textarea");

/** Put text into the box as if it had been typed, so that Gradio knows of it. */
export function write(text) {
  const box = area();
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

export function mountLyrics(box, examples) {
  const view = el("div", { class: "sb-structure", "aria-live": "polite" });
  const said = el("p", { class: "sb-said", role: "status" });
  const choice = el("select", { id: "sb-example-lyrics", onchange: () => choice.value && pick(examples[choice.value]) },
    el("option", { value: "" }, t("choose")), ...Object.keys(examples).map((stem) => el("option", { value: stem }, stem.replaceAll("_", " "))));
  box.setAttribute("aria-label", t("sections"));
  box.replaceChildren(
    el("div", { class: "sb-row", role: "group", "aria-label": t("sections") },
      ...SECTIONS.map((kind) => el("button", { type: "button", class: `sb-section sb-${kind}`, onclick: () => insert(kind) }, t(kind)))),
    el("div", { class: "sb-row" }, el("label", { for: "sb-example-lyrics" }, t("example_lyrics")), choice),
    said,
    view,
  );
  whenThere("#sb-lyrics textarea", (text) => watch(text, view, said));
}

function watch(text, view, said) {
  let timer;
  let asked;
  const look = async () => {
    const lyrics = text.value;
    asked = lyrics;
    local("draft", lyrics);
    if (!lyrics.trim()) return view.replaceChildren();
    try {
      const found = await report(lyrics);
      if (asked === lyrics) show(view, found);
    } catch (error) {
      if (asked === lyrics) view.replaceChildren(el("p", { class: "sb-warning" }, error.message));
    }
  };
  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });
  const selected = () => pronounce(text.value.slice(text.selectionStart, text.selectionEnd).trim(), said);
  text.addEventListener("mouseup", () => setTimeout(selected));
  text.addEventListener("keyup", (event) => event.shiftKey && selected());
  const draft = local("draft");
  if (draft && !text.value) write(draft);
}

async function pronounce(word, said) {
  if (!word || word.length > 40 || /[\n[\]]/.test(word)) return;
  try {
    const { sections } = await report(word);
    const phonemes = sections.flatMap((section) => section.phonemes).join(" ");
    if (phonemes) said.replaceChildren(t("pronounced", { word }), " ", el("code", {}, phonemes));
  } catch {
    said.textContent = ""; // nothing that can be sung
  }
}

function insert(kind) {
  const text = area();
  const at = text.selectionEnd ?? text.value.length;
  const before = text.value.slice(0, at).replace(/\n*$/, "");
  const tag = ["intro", "inst", "outro"].includes(kind) ? `[${kind} 4s]` : `[${kind}]`;
  const head = `${before}${before ? "\n\n" : ""}${tag}\n`;
  write(head + text.value.slice(at).replace(/^\n+/, ""));
  text.focus();
  text.setSelectionRange(head.length, head.length);
}

/** Put lyrics into the editor; those that were there can be had back. */
export function pick(lyrics) {
  const before = area().value;
  write(lyrics);
  if (before.trim() && before !== lyrics) toast(t("draft_replaced"), { action: t("undo"), onclick: () => write(before) });
}

function show(view, found) {
  const bar = el("div", { class: "sb-plan", role: "list", "aria-label": t("structure") },
    ...found.sections.map((section) => {
      const label = `${t(section.kind)} ${Math.round(section.seconds)} s`;
      const block = el("span", { role: "listitem", title: label }, label);
      block.style.flexGrow = Math.max(1, section.seconds);
      block.style.borderColor = colourOf(section.kind);
      return block;
    }));
  view.replaceChildren(
    el("div", { class: "sb-row spread" }, el("strong", {}, t("structure")), el("span", {}, t("about_seconds", { s: Math.round(found.seconds) }))),
    bar,
    ...found.warnings.map((warning) => el("p", { class: "sb-warning" }, warning)),
  );
}
