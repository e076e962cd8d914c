// Controls above the charts: which metric or choice is drawn where.  They show the state of the page and change it.

import { h, replace } from "../core/dom.js";
import { ORDER } from "../data/study_data.js";

/** A labelled select for `name` of the store.  `options(state)` gives [{value, words}]; null is "none". */
export function picker(store, name, words, options) {
  const select = h("select", { onchange: () => store.set({ [name]: select.value === "" ? null : select.value }) });
  const element = h("label", { class: "pick" }, h("span", {}, words), select);

  function show(state) {
    const offered = options(state);
    const same = select.options.length === offered.length
      && offered.every((option, place) => select.options[place].value === (option.value ?? ""));
    if (!same) {
      replace(select, offered.map((option) => h("option", { value: option.value ?? "" }, option.words)));
    }
    select.value = state[name] ?? "";
  }

  store.subscribe([name, "data", "metrics"], show);
  show(store.get());
  return element;
}

/** A labelled checkbox for a flag of the store. */
export function toggle(store, name, words) {
  const box = h("input", { type: "checkbox", onchange: () => store.set({ [name]: box.checked }) });
  const show = (state) => { box.checked = state[name]; };
  store.subscribe([name], show);
  show(store.get());
  return h("label", { class: "check" }, box, h("span", {}, words));
}

/** Every metric of the study as options. */
export function metricOptions(state) {
  return (state.metrics?.items ?? []).map((metric) => ({ value: metric.metric, words: metric.label }));
}

/** What an axis may show: every metric, and when an architecture was evaluated. */
export function axisOptions(state) {
  return [...metricOptions(state), { value: ORDER, words: "order of evaluation" }];
}

/** "nothing", every metric, and every choice of the study as options. */
export function anyOptions(state, choices) {
  return [{ value: null, words: "nothing" }, ...metricOptions(state),
    ...choices.map((choice) => ({ value: choice, words: choice }))];
}
