// The front alone as columns: what a large study is shown with until all its evaluations are read.

import { PROVENANCES } from "../core/names.js";

/** The columns document, as GET /columns gives it, that holds the points of `front` and nothing else. */
export function columnsOfFront(front, metrics) {
  const points = [...front.points].sort((a, b) => a.evaluation_id - b.evaluation_id);
  const column = (metric) => {
    const values = points.map((point) => point.values.find((value) => value.metric === metric) ?? null);
    return {
      value: values.map((value) => value?.value ?? null),
      provenance: values.map((value) => (value === null ? null : PROVENANCES.indexOf(value.provenance))),
    };
  };
  return {
    count: points.length,
    id: points.map((point) => point.evaluation_id),
    digest: points.map((point) => point.digest),
    state: points.map(() => "complete"),
    fidelity: points.map(() => "inherited"),
    provenances: PROVENANCES,
    metrics: Object.fromEntries(metrics.map((metric) => [metric, column(metric)])),
    choices: {},
  };
}
