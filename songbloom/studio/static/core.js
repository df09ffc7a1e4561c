// What every part of the page shares: words, elements, requests to the service, messages.

const { strings, language } = window.SONGBLOOM;

/** Where the service answers: the page lies one folder below it. */
export const BASE = location.pathname.replace(/\/studio(\/.*)?$/, "");

/** The word for `key` in the page's language; `{name}` is filled in from `values`. */
export function t(key, values = {}) {
  const text = strings[key]?.[language] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const known = (key) => key in strings;

/** An element; `attributes` named `on...` are listeners, `class` and `dataset` as in HTML. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("aria-")) element.setAttribute(name, value); // "false" says something there
    else if (value === false) continue;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const ICONS = {
  play: "M7 4v16l13-8z",
  pause: "M6 4h4v16H6zM14 4h4v16h-4z",
  stop: "M6 6h12v12H6z",
  star: "M12 2.5l2.9 6.2 6.6.8-4.9 4.6 1.3 6.7L12 17.4l-5.9 3.4 1.3-6.7L2.5 9.5l6.6-.8z",
  down: "M11 3h2v9l3.5-3.5 1.4 1.4L12 16l-5.9-6.1 1.4-1.4L11 12zM4 18h16v2.5H4z",
  again: "M4 4h11v2.5H6.5V17H4zM9 9h11v11H9z",
  dice: "M4 4h16v16H4zM8 8h2.6v2.6H8zM13.4 13.4H16V16h-2.6z",
  share: "M14 4l7 6.5-7 6.5v-4C8 13 5 15 3 19c0-6 4-11 11-11z",
  bin: "M9 3h6l1 2h4v2.4H4V5h4zM5.5 9h13l-1 12h-11z",
  edit: "M3 17.2V21h3.8L18 9.8 14.2 6zM20.7 7.1a1 1 0 000-1.4l-2.4-2.4a1 1 0 00-1.4 0l-1.8 1.8L18.9 9z",
  mic: "M12 2a3 3 0 013 3v6a3 3 0 01-6 0V5a3 3 0 013-3zM5 11h2.2a4.8 4.8 0 009.6 0H19a7 7 0 01-6 6.9V22h-2v-4.1A7 7 0 015 11z",
  up: "M11 21h2v-9l3.5 3.5 1.4-1.4L12 8l-5.9 6.1 1.4 1.4L11 12zM4 3.5h16V6H4z",
  theme: "M12 3a9 9 0 100 18V3z",
  key: "M14 3a7 7 0 11-6.3 10H7l-1 2H4l-1 2v-3l4-4a7 7 0 017-7zm2 4.5a1.8 1.8 0 100 3.6 1.8 1.8 0 000-3.6z",
  close: "M5.5 4L12 10.5 18.5 4 20 5.5 13.5 12l6.5 6.5-1.5 1.5L12 13.5 5.5 20 4 18.5l6.5-6.5L4 5.5z",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", ICONS[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

/** A button with a picture; without `text` its label is spoken and shown as a hint. */
export function button(name, label, onclick, { text = false, kind = "" } = {}) {
  const told = text ? null : label; // written words are read as they stand, also when they change
  const attributes = { type: "button", class: `sb-button ${kind}`, onclick, "aria-label": told, title: told };
  return el("button", attributes, icon(name), text ? el("span", {}, label) : null);
}

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export function bytes(count) {
  if (count === null || count === undefined) return "?";
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(count / 1e6))} MB`;
}

/** localStorage or sessionStorage, which a browser may forbid. */
export function stored(place, name, value) {
  try {
    if (value === undefined) return JSON.parse(place().getItem(`songbloom.${name}`));
    if (value === null) place().removeItem(`songbloom.${name}`);
    else place().setItem(`songbloom.${name}`, JSON.stringify(value));
  } catch {
    return null;
  }
  return value;
}

export const local = (name, value) => stored(() => localStorage, name, value);
export const session = (name, value) => stored(() => sessionStorage, name, value);

/** News between the parts: "job" (a job as the service tells it), "song" (a library entry has changed), "key". */
export const news = new EventTarget();
export const tell = (name, detail) => news.dispatchEvent(new CustomEvent(name, { detail }));
export const heed = (name, action) => news.addEventListener(name, (event) => action(event.detail));

/** What the service answers when it refuses: fields at fault, each with its remedy. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? String(status));
    const kind = `problem_${(body.type ?? "").split(":").pop().replaceAll("-", "_")}`;
    Object.assign(this, { status, fields: body.errors ?? [], kind: known(kind) ? kind : "went_wrong" });
  }
}

export function headers() {
  const key = local("key");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** The service's JSON; seeds beyond what a number holds exactly stay digits. */
export const parse = (text) => JSON.parse(text.replace(/"seed":\s*(\d{16,})/g, '"seed":"$1"'));

export const noServer = () => new Problem(0, { detail: t("no_server") });

/** A request to the service; the answer's JSON. Throws Problem. */
export async function api(method, path, { json, form } = {}) {
  const head = headers();
  if (json !== undefined) head["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(BASE + path, { method, headers: head, body: json === undefined ? form : JSON.stringify(json) });
  } catch {
    throw noServer();
  }
  const body = answer.status === 204 ? {} : await answer.text().then(parse).catch(() => ({}));
  if (answer.ok) return body;
  if (answer.status === 401) tell("key", "wanted");
  throw new Problem(answer.status, body);
}

/** Keep a key for later visits; as a cookie too, for audio elements and event streams, which send no header. */
export function keepKey(key) {
  local("key", key);
  const end = key ? "" : "; Max-Age=0";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `songbloom_key=${key ?? ""}; Path=${BASE || "/"}; SameSite=Strict${secure}${end}`;
}

/** A message at the foot of the page, read aloud by screen readers; with an action it stays longer. */
export function toast(text, { action, onclick, kind = "" } = {}) {
  let box = document.getElementById("sb-toasts");
  if (!box) {
    box = el("div", { id: "sb-toasts", role: "status", "aria-live": "polite" });
    document.body.append(box);
  }
  const message = el("div", { class: `sb-toast ${kind}` }, el("span", {}, text));
  const gone = () => message.remove();
  if (action) message.append(el("button", { type: "button", onclick: () => (gone(), onclick()) }, action));
  message.append(button("close", t("close"), gone));
  box.append(message);
  setTimeout(gone, action || kind ? 12000 : 5000);
}

/** Show a refusal: each field by the name it has on the page, then what the service says about it. */
export function explain(error, place) {
  const name = (field) => (known(field) ? t(field) : field);
  const lines = error.fields?.length
    ? error.fields.map(({ field, message }) => `${t("please_check", { field: name(FIELDS[field] ?? field) })}: ${message}`)
    : [`${t(error.kind ?? "went_wrong")}: ${error.message}`];
  if (!place) return toast(lines.join("; "), { kind: "bad" });
  place.replaceChildren(...lines.map((line) => el("p", {}, line)));
  place.hidden = false;
}

const FIELDS = { prompt_audio: "style", prompt_start: "clip_start", num_samples: "samples", idx: "title", model_name: "model" };

/** Run `mount` with an element as soon as it is there, and again whenever Gradio makes it anew. */
export function whenThere(selector, mount) {
  let last = null;
  const look = () => {
    const found = document.querySelector(selector);
    if (found && found !== last) mount((last = found));
  };
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
  look();
}
