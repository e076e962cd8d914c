// Where an architecture stands: the knee, on the front, off it and because of whom, outside the bounds, not measured.

import { quantity } from "../core/format.js";

const SHOWN = 3;

/** {state: "knee"|"front"|"dominated"|"outside"|"incomplete"|"unknown", badge, words, by: [digests of the front]}: `by`
 *  are at least as good in every objective.  `found` is the architecture's document,
 *  `front` that of the front, `metrics` the items of GET /metrics. */
export function standingOf(found, front, metrics) {
  if (found.knee)
    return said(
      "knee",
      "knee",
      "It is on the front, and its knee: around it, a little more in one objective costs much in another.",
    );
  if (found.on_front)
    return said(
      "front",
      "on the front",
      "It is on the front: nothing that was evaluated is better in every objective.",
    );
  if (front === null) return said("unknown", "off the front", "There is no front to compare it with.");
  const goals = Object.entries(front.goals);
  const own = numbersOf(found, front);
  const missing = goals
    .filter(([metric]) => own.get(metric) === undefined)
    .map(([metric]) => labelOf(metrics, metric));
  if (missing.length > 0)
    return said(
      "incomplete",
      "not measured",
      `It has no number for ${missing.join(" and ")}, so it stands nowhere yet.`,
    );
  const broken = metrics.filter((metric) => metric.objective && outside(own.get(metric.metric)?.value, metric));
  if (broken.length > 0) {
    const words = broken.map(
      (metric) =>
        `${metric.label} is ${quantity(own.get(metric.metric).value, metric.unit)}, allowed ${bounds(metric)}`,
    );
    return said("outside", "outside the bounds", `It does not keep the bounds: ${words.join("; ")}.`);
  }
  const by = front.points
    .filter((point) =>
      goals.every(([metric, goal]) => {
        const theirs = valueOf(point.values, metric);
        return (
          theirs !== undefined &&
          (goal === "minimize" ? theirs.value <= own.get(metric).value : theirs.value >= own.get(metric).value)
        );
      }),
    )
    .map((point) => point.digest)
    .slice(0, SHOWN);
  return said(
    "dominated",
    "dominated",
    by.length === 0
      ? "It is off the front."
      : "It is dominated: at least as good in every objective, and better in one,",
    by,
  );
}

/** The value of a metric among values of the API, or undefined. */
export function valueOf(values, metric) {
  return values.find((value) => value.metric === metric);
}

/** By metric the values that the front is made of: with shared weights. */
export function numbersOf(found, front = null) {
  const point = [...(front?.points ?? []), ...(front?.others ?? [])].find((each) => each.digest === found.digest);
  const values =
    point?.values ??
    found.numbers.filter(({ fidelity }) => fidelity === "inherited").flatMap((each) => each.values);
  return new Map(values.map((value) => [value.metric, value]));
}

function said(state, badge, words, by = []) {
  return Object.freeze({ state, badge, words, by });
}

function outside(value, { at_least: least, at_most: most }) {
  return value !== undefined && ((least !== null && value < least) || (most !== null && value > most));
}

function bounds({ at_least: least, at_most: most, unit }) {
  return [
    least === null ? null : `at least ${quantity(least, unit)}`,
    most === null ? null : `at most ${quantity(most, unit)}`,
  ]
    .filter((each) => each !== null)
    .join(" and ");
}

function labelOf(metrics, name) {
  return metrics.find(({ metric }) => metric === name)?.label ?? name;
}
