// What can be done with a study from the list: clone, stop, resume, delete.

import { patch, remove } from "../core/api.js";
import { ask } from "../core/dialogs.js";
import { h } from "../core/dom.js";
import { count } from "../core/format.js";

/** Buttons for a study.  `changed(StudyDetail)` and `deleted(study)` are told what became of it, `failed(error, study)`
 *  what did not; `newest(study)` gives the document as it is by now. */
export function actionsOf(study, told) {
  const to = `/new?from=${study.id}`;
  const name = study.name;
  const found = [h("a", { class: "button quiet small", href: to, "data-act": "clone", "aria-label": `Clone ${name}` },
    "Clone")];
  if (canStop(study)) found.push(button("stop", "Stop", study, () => want("stopped", study, told), told));
  if (canResume(study)) found.push(button("resume", "Resume", study, () => want("running", study, told), told));
  found.push(button("delete", "Delete", study, () => erase(told.newest(study), told), told));
  return found;
}

/** Whether a worker can be asked to stop: what runs in the foreground is stopped where it runs. */
function canStop({ state, desired_state: wanted }) {
  return wanted === "running" && (state === "running" || state === "created" || state === "interrupted");
}

function canResume({ state, desired_state: wanted }) {
  return state === "failed" || (wanted !== "running" && (state === "interrupted" || state === "created"));
}

function button(act, words, study, run, told) {
  return h("button", {
    type: "button", class: "button quiet small", "data-act": act, "aria-label": `${words} ${study.name}`,
    onclick: async () => {
      try {
        await run();
      } catch (error) {
        told.failed(error, study);
      }
    },
  }, words);
}

async function want(state, study, told) {
  told.changed(await patch(`/studies/${study.id}`, { desired_state: state }));
}

async function erase(study, told) {
  const { complete, failed } = study.counts;
  const sure = await ask(`Delete ${study.name}?`, {
    words: complete + failed === 0 ? "It has no evaluations yet. Its files on the server's machine go with it." : [
      `It has ${count(complete + failed, "evaluation")}. They go with it, and so do its checkpoints, its models and `
      + "its files on the server's machine.", "This cannot be undone.",
    ],
    action: `Delete ${study.name}`,
    danger: true,
  });
  if (!sure) return;
  await remove(`/studies/${study.id}`);
  told.deleted(study);
}
