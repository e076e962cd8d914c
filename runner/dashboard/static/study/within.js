// The question that fronts are made for: which is the best within a limit?

import { byId, h, replace } from "../core/dom.js";
import { metricOptions } from "./pickers.js";

/** The row of the front that is best in `metric` among those that keep `within` ({metric, most}: at most, or at least
 *  where more is better); {row: -1} if none does, null if nothing was asked. */
export function bestWithin(data, naming, metric, within) {
  if (within === null || !data.metricNames.includes(within.metric) || !data.metricNames.includes(metric)) return null;
  const limits = data.values(within.metric);
  const values = data.values(metric);
  const sign = naming.goal(metric) === "maximize" ? -1 : 1;
  const more = naming.goal(within.metric) === "maximize";
  let row = -1;
  for (let each = 0; each < data.count; each += 1) {
    if (!data.isFront[each]) continue;
    const kept = more ? limits[each] >= within.most : limits[each] <= within.most;
    if (kept && (row < 0 || sign * values[each] < sign * values[row])) row = each;
  }
  return { row };
}

/** The control that asks, and its answer in words. */
export function createWithin(store, naming) {
  const metric = h("select", { "aria-label": "Metric of the limit", onchange: change });
  const most = h("input", { type: "number", step: "any", "aria-label": "Limit", onchange: change });
  const answer = h("output", { class: "note" });
  replace(byId("within"), h("span", { class: "note" }, "Best "), h("strong", { id: "within-what" }), " where ", metric,
    h("span", { id: "within-sign" }), most, answer);

  function change() {
    const value = most.value.trim() === "" ? null : Object.freeze({ metric: metric.value, most: Number(most.value) });
    store.set({ within: value });
    show(store.get());
  }

  function show(state) {
    if (state.metrics === null || state.data === null) return;
    const options = metricOptions(state);
    if (metric.options.length !== options.length) {
      replace(metric, options.map((option) => h("option", { value: option.value }, option.words)));
      metric.value = state.x;
    }
    if (state.within !== null) {
      metric.value = state.within.metric;
      if (document.activeElement !== most) most.value = String(state.within.most);
    }
    byId("within-what").textContent = naming.label(state.y);
    byId("within-sign").textContent = naming.goal(metric.value) === "maximize" ? " ≥ " : " ≤ ";
    replace(answer, ...words(state));
  }

  function words({ data, y, within }) {
    const best = bestWithin(data, naming, y, within);
    if (best === null) return [" give a limit"];
    if (best.row < 0) return [" no point of the front keeps it"];
    const digest = data.digests[best.row];
    return [` ${naming.text(y, data.values(y)[best.row])} at ${naming.text(within.metric, data.values(within.metric)[best.row])}: `,
      h("button", { type: "button", class: "button quiet", onclick: () => store.set({ point: digest }) },
        h("code", {}, digest))];
  }

  store.subscribe(["data", "metrics", "y", "within"], show);
  show(store.get());
}
