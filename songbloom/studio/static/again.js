// Another take of a song: the same wish with a new seed. The service still has the style clip.

import { api, explain, session, t, tell, toast } from "./core.js";

export async function anotherTake(song) {
  try {
    const job = await api("POST", `/jobs/${song.job.job_id}/again`);
    session("mine", [...(session("mine") ?? []), job.job_id]);
    tell("ordered", job);
    toast(t("accepted"));
    await api("PATCH", `/library/${job.job_id}`, { json: { title: song.title, tags: song.tags } });
  } catch (error) {
    explain(error);
  }
}
