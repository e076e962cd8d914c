// The page of one study: reads it, makes its panels, and keeps them fresh while it runs.

import { byId, h, replace } from "../core/dom.js";
import { registerKeys } from "../core/keys.js";
import { problemBox } from "../core/problems.js";
import { ORDER } from "../data/study_data.js";
import { createFrontPanel } from "../study/front_panel.js";
import { createHappenings } from "../study/happenings.js";
import { createHead, createStages } from "../study/head_panel.js";
import { createInsightPanels } from "../study/insight_panels.js";
import { createNaming } from "../study/naming.js";
import { createNotes } from "../study/notes_panel.js";
import { createParallelPanel } from "../study/parallel_panel.js";
import { createPointPanel } from "../study/point_panel.js";
import { choicesOf, createSource } from "../study/source.js";
import { createState, firstAxes, shownPoint, toggled } from "../study/state.js";
import { createTablePanel } from "../study/table_panel.js";
import { createWithin } from "../study/within.js";

const store = createState();
const study = document.body.dataset.study;
const source = createSource(store, study);

begin();

async function begin() {
  try {
    await source.load();
  } catch (error) {
    replace(byId("study-problem"), problemBox(error, begin));
    return;
  }
  replace(byId("study-problem"));
  const { metrics, data } = store.get();
  const naming = createNaming(metrics);
  const first = firstAxes(metrics.items);
  const choices = choicesOf(data.front);
  const known = (name) => name !== null && (name === ORDER || naming.isMetric(name) || choices.includes(name));
  for (const name of ["x", "y", "colour", "size"]) {
    if (!known(store.get()[name])) store.set({ [name]: first[name] });
  }
  await source.need([store.get().x, store.get().y, store.get().size].filter((name) => name !== null));
  createHead(store, naming, source.path);
  createFrontPanel(store, naming, source.need);
  createWithin(store, naming);
  createPointPanel(store, naming);
  createTablePanel(store, naming, source.need);
  replace(byId("provenances"), metrics.provenances.map(({ name, meaning }) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, meaning))));
  byId("content").hidden = false;
  byId("study-loading").hidden = true;
  performance.mark("usable"); // what the test of a large study measures
  // What is further down does not hold up what is above it.
  requestAnimationFrame(() => setTimeout(() => createOthers(naming)));
}

function createOthers(naming) {
  createParallelPanel(store, naming, source.need);
  createNotes(store, source.path);
  const stages = createStages(store, source.path);
  const insight = createInsightPanels(store, naming, source.path);
  const happenings = createHappenings(store, source.path);
  const all = [stages, ...Object.values(insight), ...Object.values(happenings)];
  for (const panel of all) panel.refresh();
  source.onChange((kinds) => {
    // Progress alone moves numbers and the front; what was learned from a stage changes with the stage.
    const quiet = [...kinds].every((kind) => kind === "stage.progress" || kind === "poll");
    for (const panel of quiet ? [stages, insight.course, insight.training, happenings.failures] : all) panel.refresh();
  });
  source.start();
}

registerKeys([
  { key: "/", words: "filter the table", act: () => byId("rows-pickers").querySelector("select").focus() },
  { key: "x", words: "take the point into the comparison, or out of it", act: pick },
  { key: "c", words: "compare what is picked", act: compare },
  { key: "o", words: "open the point", act: () => open("") },
  { key: "e", words: "take the point: retrain and export", act: () => open("#take") },
  { key: "Escape", words: "look at no point", act: () => store.set({ point: null }) },
]);

function pick() {
  const point = shownPoint(store.get());
  if (point !== null) store.set({ picked: toggled(store.get().picked, point) });
}

function compare() {
  const { picked } = store.get();
  if (picked.length > 1) location.assign(`/studies/${encodeURIComponent(study)}/compare?points=${picked.join(",")}`);
}

function open(part) {
  const point = shownPoint(store.get());
  if (point !== null) location.assign(`/studies/${encodeURIComponent(study)}/architectures/${point}${part}`);
}
