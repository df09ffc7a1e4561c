// Sends a song's wish to the service, as the form that POST /generate takes, and fills the form with an earlier one.

import { BASE, api, explain, headers, session, t, tell, toast } from "./core.js";
import { clip, take } from "./clip.js";
import { allowSound } from "./live.js";
import { pick } from "./lyrics.js";

/** The order of page.Controls. */
const NAMES = ["title", "lyrics", "preset", "cfg_coef", "steps", "top_k", "temperature", "samples", "max_duration", "seed", "format"];
const LIVE = "live";

let filling = null;

const slug = (title) => title.normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60);

/** The form fields of a wish; what is empty is left out, so that the model's own value holds. */
function fieldsOf(wish) {
  const fields = { lyrics: wish.lyrics, num_samples: wish.samples, format: wish.format, idx: slug(wish.title) || "song" };
  if (wish.preset !== "auto") Object.assign(fields, { cfg_coef: wish.cfg_coef, steps: wish.steps, top_k: wish.top_k, temperature: wish.temperature });
  if (Number(wish.max_duration)) fields.max_duration = wish.max_duration;
  if (String(wish.seed).trim()) fields.seed = String(wish.seed).trim();
  return { ...fields, ...wish.more };
}

/** Queue a song; its job. Throws Problem. */
export async function order(wish, { blob, start, name }) {
  const form = new FormData();
  for (const [field, value] of Object.entries(fieldsOf(wish))) form.append(field, value);
  form.append("prompt_start", start);
  form.append("prompt_audio", blob, name);
  const job = await api("POST", "/generate", { form });
  session("mine", [...(session("mine") ?? []), job.job_id]);
  tell("ordered", job);
  const title = wish.title.trim();
  if (title) await api("PATCH", `/library/${job.job_id}`, { json: { title } }).catch((error) => explain(error)); // it is made all the same
  return job;
}

/** The button: what Gradio's controls hold, in their order. */
export async function create(values) {
  const place = document.getElementById("sb-refused");
  const press = document.getElementById("sb-create");
  place.hidden = true;
  allowSound();
  press.disabled = true;
  try {
    const chosen = await clip();
    if (!chosen) throw Object.assign(new Error(), { fields: [{ field: "prompt_audio", message: t("clip_none") }] });
    await order(Object.fromEntries(NAMES.map((name, index) => [name, values[index] ?? ""])), chosen);
    toast(t("accepted"));
  } catch (error) {
    explain(error, place);
    place.scrollIntoView({ block: "nearest" });
  } finally {
    press.disabled = false;
  }
}

/** What the fill button's event puts into the controls. */
export function filled(now) {
  const values = now.map((value, index) => (NAMES[index] in filling ? filling[NAMES[index]] : value));
  filling = {};
  return values;
}

/** Show an earlier song's wish in the form; the seed too, if it is to be the same song. */
export async function useAgain(song, seed) {
  const { job } = song;
  const set = job.settings;
  const custom = ["cfg_coef", "steps", "top_k", "temperature"].some((name) => name in set);
  filling = {
    title: song.title, lyrics: job.lyrics, preset: custom ? "custom" : "auto", samples: 1, format: job.format,
    max_duration: set.max_duration ?? 0, seed: seed === undefined ? "" : String(seed),
  };
  for (const name of ["cfg_coef", "steps", "top_k", "temperature"]) if (name in set) filling[name] = set[name];
  pick(job.lyrics);
  document.getElementById("sb-fill").click();
  tell("show-create");
  const answer = await fetch(`${BASE}/jobs/${job.job_id}/prompt_audio`, { headers: headers() });
  if (answer.ok) take(new File([await answer.blob()], "clip"), t("clip_of", { title: song.title }), job.prompt_start);
}

export const wantsLive = (value) => (value === undefined ? session(LIVE) !== false : session(LIVE, value));
