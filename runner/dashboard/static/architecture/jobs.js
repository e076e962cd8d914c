// Jobs of a study in words: which concern an architecture, how far they are, and why they wait.

import { count } from "../core/format.js";

export const UNDER_WAY = Object.freeze(["queued", "running"]);
const NAMES = Object.freeze({ retrain: "Retrain", export: "Export" });

/** Whether a job of the API is about this architecture: by its result where it has one, else by what was asked for.
 *  `ends` without a result is not told to be about any. */
export function concerns(job, { digest, knee }) {
  const reached = job.result?.bundles ? Object.keys(job.result.bundles) : (job.result?.architectures ?? null);
  if (reached !== null) return reached.includes(digest);
  return job.payload.point === "knee" ? knee : digest.startsWith(job.payload.point);
}

/** What a job does, such as "Export as onnx, onnx-int8". */
export function jobName(job) {
  const formats = job.payload.formats;
  return `${NAMES[job.kind] ?? job.kind}${formats ? ` as ${formats.join(", ")}` : ""}`;
}

/** How far a job is: {done, total} or null where that is not known, and the words for it. */
export function progressOf(job, { workers = null, ahead = 0 } = {}) {
  if (job.state === "queued") return { part: null, words: waitingWords(job, workers, ahead) };
  if (job.state !== "running") return { part: null, words: "" };
  const told = job.progress;
  if (told === null) return { part: null, words: "A worker has taken it; the weights of the study are read." };
  const stage = told.stage ? `${told.stage}: ` : "";
  if (Number.isFinite(told.done) && Number.isFinite(told.total) && told.total > 0) {
    const detail = told.detail ? `, ${told.detail}` : "";
    return {
      part: { done: told.done, total: told.total },
      words: `${stage}${told.done} of ${told.total}${detail}`,
    };
  }
  return { part: null, words: `${stage}${told.message ?? told.detail ?? "at work"}` };
}

/** Why a job waits: `workers` are items of GET /workers, or null where they were not read; `ahead` counts the jobs that
 *  were asked for before. */
function waitingWords(job, workers, ahead) {
  const before = job.reason ? `It was begun and waits again: ${job.reason}. ` : "";
  if (workers === null) return `${before}It waits for a worker.`;
  const alive = workers.filter((worker) => worker.alive);
  if (alive.length === 0)
    return `${before}No worker is alive: start one with \`supernaut worker\` on the machine where the server runs.`;
  if (alive.some((worker) => worker.study_id === job.study_id)) {
    return `${before}It waits until the worker that works on this study lets it go.`;
  }
  if (ahead > 0) return `${before}It waits for ${count(ahead, "job")} of this study that came before.`;
  return `${before}It waits for ${count(alive.length, "worker")}; one takes it when it is free.`;
}
