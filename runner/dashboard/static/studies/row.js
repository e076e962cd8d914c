// One study as a row: cells from a StudyDocument, and a row that changes in place.

import { h } from "../core/dom.js";
import { age, count, number } from "../core/format.js";
import { BETTER } from "../core/names.js";

const ARROWS = { minimize: "↓", maximize: "↑" };
const HEADS = ["name", "state", "objectives", "progress", "hypervolume", "evaluations", "begun"];

/** The words over the columns, with "actions" where there are any. */
export const COLUMNS = Object.freeze(HEADS);

/** A row for a study; `owners`: whether to tell whose it is; `actions(study)` gives the buttons, or null for none. */
export function createRow(study, { owners, actions }) {
  const row = h("tr", { role: "row", "data-study": study.id }, cells(study, owners, actions));
  return row;
}

/** Shows a newer document in the same row: what did not change stays as it is, the focus included. */
export function updateRow(row, study, { owners, actions }) {
  const fresh = cells(study, owners, actions);
  [...row.cells].forEach((old, place) => {
    // The course is drawn later, by its own module, and compared by what it is of.
    const same = old.dataset.course === undefined ? old.isEqualNode(fresh[place])
      : old.dataset.course === fresh[place].dataset.course;
    if (same) return;
    const acts = [...old.querySelectorAll("[data-act]")];
    const focused = acts.indexOf(document.activeElement);
    if (old.dataset.course !== undefined) fresh[place].append(...old.childNodes); // the older course until then
    old.replaceWith(fresh[place]);
    if (focused < 0) return;
    // The same action, or what stands in its place now: resume for stop.
    const again = fresh[place].querySelector(`[data-act="${acts[focused].dataset.act}"]`);
    (again ?? fresh[place].querySelectorAll("[data-act]")[focused] ?? row.querySelector("a")).focus();
  });
}

/** What a row shows of a study that somebody has deleted meanwhile. */
export function markGone(row) {
  row.classList.add("is-gone");
  [...row.cells].slice(1).forEach((cell) => cell.replaceChildren());
  row.cells[0].replaceChildren(row.cells[0].textContent);
  row.cells[1].append(h("span", { class: "state" }, "deleted"));
}

function cells(study, owners, actions) {
  const made = [
    h("th", { scope: "row", role: "rowheader" },
      h("a", { href: `/studies/${study.id}`, "data-act": "open" }, study.name),
      owners ? h("span", { class: "note" }, `by ${study.owner}`) : null,
      study.tags.length === 0 ? null
        : h("ul", { class: "chips", "aria-label": "Tags" }, study.tags.map((tag) => h("li", { class: "chip" }, tag)))),
    cell("state", h("div", {}, h("span", { class: `state is-${study.state}` }, study.state),
      reasonOf(study))),
    cell("objectives", h("div", { class: "objectives" }, objectives(study))),
    cell("progress", progress(study)),
    h("td", { role: "cell", class: "course", "data-label": "hypervolume",
      "data-course": `${study.id} ${study.counts.complete}` }),
    h("td", { role: "cell", class: "number", "data-label": "evaluations" }, h("div", {}, number(study.counts.complete),
      study.counts.failed === 0 ? null
        : h("span", { class: "note is-bad" }, `${number(study.counts.failed)} failed`))),
    cell("begun", h("time", { datetime: study.created_at, title: new Date(study.created_at).toLocaleString() },
      age(study.created_at))),
  ];
  if (actions !== null) made.push(h("td", { role: "cell", class: "actions" }, actions(study)));
  return made;
}

function cell(label, ...children) {
  return h("td", { role: "cell", "data-label": label }, ...children);
}

function reasonOf(study) {
  const words = [];
  if (study.state === "running" && study.desired_state === "stopped") words.push("stops at the next safe point");
  if (study.state === "created" || study.state === "interrupted") {
    if (study.desired_state === "running") words.push("waits for a worker");
  }
  if (study.reason) words.push(study.reason);
  return words.map((each) => h("span", { class: "reason", title: each }, each));
}

function objectives(study) {
  if (study.objectives === null) return h("span", { class: "note" }, "another version wrote them");
  return study.objectives.map(({ metric, goal, at_least: low, at_most: high }) => {
    const [arrow, words] = [ARROWS[goal], BETTER[goal]];
    return h("span", { class: "objective", title: words }, metric, " ", h("span", { "aria-hidden": "true" }, arrow),
      h("span", { class: "sr-only" }, words),
      low === null ? null : ` ≥ ${low}`, high === null ? null : ` ≤ ${high}`);
  });
}

/** The stage, how far it is, and a bar over all stages; nothing but the words where nothing is to come. */
function progress(study) {
  const { stage, position, stages, done, total } = study.progress;
  if (stage === null) {
    return h("div", {}, position === 0 ? "not begun" : `${position} of ${count(stages, "stage")}`);
  }
  const share = done !== null && total ? Math.min(done / total, 1) : 0;
  const words = `${stage}, stage ${position} of ${stages}`;
  const within = done === null || total === null ? null : `${number(done)} of ${number(total)}`;
  return h("div", { class: "progress" },
    h("span", { class: "row" }, stage, h("span", { class: "note inline" }, ` ${position} of ${stages}`)),
    h("progress", {
      max: stages, value: position - 1 + share, "aria-label": within === null ? words : `${words}, ${within}`,
    }),
    within === null ? null : h("span", { class: "note" }, within));
}
