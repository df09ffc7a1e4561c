// The model panel: which model, how precise, loaded or not, how much memory, and bringing one that is not here.

import { BASE, api, bytes, el, explain, heed, t } from "./core.js";

const LOOK_MS = 2000; // only while something is being loaded or fetched, and the panel is seen
const NOTICE_MS = 6000; // a worker needs to see a wish
const PATIENCE_MS = 60000; // for it to be fulfilled

export function mountModel(box) {
  const state = el("p", { role: "status", class: "sb-state" });
  const about = el("p", { class: "sb-hint" });
  const name = el("select", { id: "sb-model-name" });
  const dtype = el("select", { id: "sb-dtype" });
  const quantization = el("select", { id: "sb-quantization" });
  const bar = el("progress", { max: 1, hidden: true, "aria-label": t("fetch") });
  const fetched = el("p", { class: "sb-hint", role: "status" });
  const press = (label, action, kind = "") => el("button", { type: "button", class: `sb-button ${kind}`, onclick: () => action().then(look, explain) }, label);
  const expect = (state) => {
    awaited = state;
    asked = Date.now();
  };
  const load = press(t("load"), () => api("POST", "/load-model", { json: wish() }).then(() => expect("loaded")), "main");
  const unload = press(t("unload"), () => api("POST", "/unload-model").then(() => expect("resting")));
  const bring = press(t("fetch"), () => api("POST", `/models/${name.value}/download`));
  let found = null;
  let timer;
  let awaited = null; // the state that was asked for last, and when
  let asked = -Infinity;

  const wish = () => ({ model_name: name.value, dtype: dtype.value, quantization: quantization.value });
  const options = (select, entries, chosen) => {
    if (select.options.length !== entries.length) {
      select.replaceChildren(...entries.map((entry) => el("option", { value: entry }, ["auto", "none"].includes(entry) ? t(entry) : entry)));
      select.value = chosen;
    }
  };
  const look = async () => {
    clearTimeout(timer);
    try {
      found = await api("GET", "/models");
    } catch (error) {
      return explain(error);
    }
    options(name, found.models.map((model) => model.name), found.current);
    options(dtype, found.dtypes, found.dtype);
    options(quantization, found.quantizations, found.quantization);
    describe();
    const since = Date.now() - asked;
    const soon = since < NOTICE_MS || (since < PATIENCE_MS && found.state !== awaited);
    const busy = soon || ["loading", "away"].includes(found.state) || found.models.some((model) => model.download?.running);
    if (busy && box.offsetParent) timer = setTimeout(look, LOOK_MS);
  };
  const describe = () => {
    const loaded = found.models.filter((model) => model.loaded).map((model) => model.name).join(", ");
    const texts = { loaded: t("model_loaded", { name: loaded }), loading: t("model_loading", { name: found.current }), resting: t("model_resting", { name: found.current }), away: t("model_away") };
    const memory = found.memory_bytes ? ` · ${t("memory", { b: bytes(found.memory_bytes) })}` : "";
    state.textContent = texts[found.state] + memory + (found.problem ? ` · ${found.problem}` : "");
    const model = found.models.find((entry) => entry.name === name.value);
    const where = model.present ? t("model_here") : t("model_not_here", { b: bytes(model.size_bytes) });
    about.textContent = [model.description, t("model_longest", { s: model.longest_s }), where, t("licence", { l: model.licence })].join(" · ");
    load.disabled = !model.present;
    unload.disabled = found.state !== "loaded";
    bring.hidden = model.present;
    const fetching = model.download;
    bar.hidden = !fetching?.running;
    bring.disabled = Boolean(fetching?.running);
    if (fetching?.total) bar.value = fetching.done / fetching.total;
    else bar.removeAttribute("value");
    fetched.textContent = !fetching ? "" : fetching.error ?? (fetching.running ? t("fetching", { file: fetching.file ?? "…", a: bytes(fetching.done), b: bytes(fetching.total) }) : t("fetch_done", { name: model.name }));
  };
  name.addEventListener("change", () => found && describe());
  heed("signed-in", look);
  new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && look()).observe(box);
  const row = (label, select) => el("div", { class: "sb-field" }, el("label", { for: select.id }, t(label)), select);
  box.setAttribute("aria-label", t("tab_model"));
  box.replaceChildren(el("div", { class: "sb-card" }, el("h2", {}, t("model_state")), state, bar, fetched,
    el("div", { class: "sb-row" }, row("model", name), row("precision", dtype), row("quantization", quantization)), about,
    el("div", { class: "sb-row" }, load, unload, bring), el("p", { class: "sb-hint" }, el("a", { href: `${BASE}/docs` }, "REST API"))));
}
