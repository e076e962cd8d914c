// Names, units and directions of what is drawn: metrics as the API tells them, choices by their own names.

import { quantity } from "../core/format.js";
import { ORDER } from "../data/study_data.js";

/** From the document of GET /metrics: `label(name)`, `unit(name)`, `goals`, `objectives`, `text(name, value)`
 *  and `meaning(provenance)`. */
export function createNaming(metrics) {
  const byName = new Map(metrics.items.map((metric) => [metric.metric, metric]));
  const meanings = new Map(metrics.provenances.map((each) => [each.name, each.meaning]));
  const objectives = metrics.items.filter((metric) => metric.objective);
  const unit = (name) => byName.get(name)?.unit ?? "";
  return Object.freeze({
    isMetric: (name) => byName.has(name),
    label: (name) => (name === ORDER ? "order of evaluation" : byName.get(name)?.label ?? name),
    unit,
    text: (name, value) => (byName.has(name) ? quantity(value, unit(name)) : String(value)),
    goal: (name) => byName.get(name)?.goal ?? null,
    objectives: Object.freeze(objectives.map((metric) => metric.metric)),
    goals: Object.freeze(Object.fromEntries(objectives.map((metric) => [metric.metric, metric.goal]))),
    meaning: (provenance) => meanings.get(provenance) ?? "",
  });
}
