// The head of the page: which study this is, what it is for, how far it is, and what can be done with it.

import { get, patch, remove } from "../core/api.js";
import { ask } from "../core/dialogs.js";
import { byId, h, replace } from "../core/dom.js";
import { fact } from "../core/facts.js";
import { age, count, number, span } from "../core/format.js";
import { BETTER } from "../core/names.js";
import { panel } from "../core/panel.js";
import { problemWords } from "../core/problems.js";
import { maySubmit } from "../core/rights.js";

/** Follow `study` and `session` of the store; `path` is the study's in the API. */
export function createHead(store, naming, path) {
  const title = byId("study-title");
  const facts = byId("study-facts");
  const actions = byId("study-actions");
  const said = byId("study-said");
  let shownActions = "";

  function show({ study, session, data }) {
    if (study === null) return;
    document.title = `${study.name} · Supernaut`;
    byId("place").textContent = study.name;
    replace(title, h("h1", {}, study.name), h("span", { class: `state is-${study.state}`, role: "status" }, study.state));
    replace(byId("study-reason"), study.reason === null ? null : [h("strong", {}, "Reason: "), study.reason]);
    byId("study-reason").hidden = study.reason === null;
    replace(facts,
      fact("task", study.task ?? "unknown"), fact("search space", study.space ?? "unknown"),
      fact("objectives", (study.objectives ?? []).map((each) => h("span", { class: "row" }, objective(each))), "is-wide"),
      fact("evaluations", [study.counts.complete.toLocaleString("en"), study.counts.complete < (study.progress?.budget ?? 0) ? ` of ${study.progress.budget.toLocaleString("en")}` : "",
        study.counts.failed > 0 ? `, ${study.counts.failed.toLocaleString("en")} failed` : ""].join("")),
      data !== null && data.front !== null && fact("on the front", count(data.front.points.length, "point")),
      fact("begun", h("time", { datetime: study.created_at, title: study.created_at }, age(study.created_at),
        study.finished_at === null ? "" : `, took ${span((Date.parse(study.finished_at) - Date.parse(study.created_at)) / 1000)}`)),
      study.tags.length > 0 && fact("tags", h("span", { class: "chips" }, study.tags.map((tag) => h("span", { class: "chip" }, tag)))),
      fact("seed", String(study.seed)), fact("id", h("code", {}, study.id.slice(0, 8))));
    const wanted = `${study.state} ${study.desired_state} ${session?.scopes}`;
    if (wanted !== shownActions) {
      shownActions = wanted;
      replace(actions, ...buttons(study, session));
    }
  }

  function objective({ metric, goal, at_least: low, at_most: high }) {
    const limits = [low !== null && `at least ${naming.text(metric, low)}`, high !== null && `at most ${naming.text(metric, high)}`];
    return [naming.label(metric), BETTER[goal], ...limits.filter(Boolean)].join(", ");
  }

  function buttons(study, session) {
    const clone = h("a", { class: "button", href: `/new?from=${study.id}` }, "Clone");
    if (!maySubmit(session)) {
      return [h("span", { class: "note" }, "Your session may read only.")];
    }
    const running = study.state === "running" || (study.state === "created" && study.desired_state === "running");
    const resumable = ["failed", "interrupted"].includes(study.state) || (study.state === "created" && !running);
    return [
      running && study.desired_state !== null && h("button", { type: "button", class: "button", onclick: () => desire("stopped") }, "Stop"),
      resumable && h("button", { type: "button", class: "button primary", onclick: () => desire("running") }, "Resume"),
      clone,
      h("button", { type: "button", class: "button danger", onclick: discard }, "Delete"),
    ];
  }

  async function desire(state) {
    await tried(async () => {
      store.set({ study: await patch(path, { desired_state: state }) });
      said.textContent = state === "stopped" ? "It stops at the next safe point, and keeps what it has." : "A worker goes on with it.";
    });
  }

  async function discard() {
    const { name } = store.get().study;
    const sure = await ask(`Delete ${name}?`, {
      words: "Everything that it measured and every model that it exported is deleted on the server. This cannot be undone.",
      action: "Delete", danger: true,
    });
    if (sure) {
      await tried(async () => {
        await remove(path);
        location.assign("/");
      });
    }
  }

  async function tried(act) {
    try {
      await act();
    } catch (error) {
      said.textContent = problemWords(error);
    }
  }

  store.subscribe(["study", "session", "data"], show);
  show(store.get());
}

/** The stages with the progress of the one at work; the panel. */
export function createStages(store, path) {
  return panel(byId("stages-panel"), {
    load: (signal) => get(`${path}/stages`, {}, { signal }),
    empty: (found) => (found.items.length === 0 ? "Its stages begin when a worker takes it." : null),
    draw(body, found) {
      const progress = store.get().study?.progress ?? null;
      replace(body, h("ol", { class: "stages" }, found.items.map((stage) => h("li", { class: `is-${stage.state}` },
        h("span", { class: "stage" }, stage.name),
        h("span", { class: "note" }, stageWords(stage)),
        stage.state === "running" && progress?.stage === stage.name && meter(stage, progress)))));
    },
  });
}

function stageWords(stage) {
  const begun = stage.started_at === null ? null : Date.parse(stage.started_at);
  if (stage.state === "complete" && begun !== null && stage.finished_at !== null) {
    return `complete in ${span((Date.parse(stage.finished_at) - begun) / 1000)}`;
  }
  if (stage.state === "running" && begun !== null) return `running for ${span((Date.now() - begun) / 1000)}`;
  return stage.state;
}

function meter(stage, { done, total }) {
  if (done === null || total === null || total === 0) return null;
  const elapsed = (Date.now() - Date.parse(stage.started_at)) / 1000;
  // Of a stage that was resumed the elapsed time holds the pause too, so this says more rather than less.
  const left = done > 0 && done < total ? ` · about ${span((elapsed / done) * (total - done))} left` : "";
  const words = `${number(done)} of ${number(total)}`;
  return [h("progress", { max: total, value: done, "aria-label": `${stage.name}: ${words}` }), h("span", { class: "note" }, words, left)];
}
