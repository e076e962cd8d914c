// Numbers of several architectures as bars: for each metric the best is marked, and each is told beside the first.

import { h, svg } from "../core/dom.js";
import { quantity } from "../core/format.js";
import { BETTER } from "../core/names.js";
import { brief, intervalText, overlap } from "./words.js";

const HEIGHT = 14;
const WIDTH = 100; // the longest bar, in units of the drawing, which is stretched to its place

/** One block for each metric that any of the columns has: `columns` are {digest, values: Map of metric -> value of the
 *  API}, `metrics` the items of GET /metrics in their order; `kind` says
 *  of which weights the values are, where that is not told already. */
export function numberBars(columns, metrics, kind = "") {
  return metrics
    .filter(({ metric }) => columns.some(({ values }) => values.has(metric)))
    .map((metric) => block(columns, metric, kind));
}

function block(columns, metric, kind) {
  const values = columns.map(({ values: own }) => own.get(metric.metric) ?? null);
  const present = values.filter((value) => value !== null);
  const most = Math.max(...present.map(({ value, upper }) => Math.max(Math.abs(value), Math.abs(upper ?? value))));
  const best = bestOf(present, metric.goal);
  const unclear = present.filter((value) => value !== best && best !== null && overlap(value, best));
  return h(
    "div",
    { class: "metric", "data-metric": metric.metric },
    h("h3", {}, metric.label, kind === "" ? "" : `, ${kind}`, goalWords(metric)),
    h(
      "ul",
      { class: "bars" },
      columns.map(({ digest }, at) =>
        line(digest, values[at], { metric, most, best, first: values[0], at, unclear }),
      ),
    ),
    unclear.length > 0
      ? h("p", { class: "note" }, "Intervals overlap with that of the best: no clear difference between these.")
      : null,
  );
}

function line(digest, value, { metric, most, best, first, at, unclear }) {
  if (value === null) {
    return h("li", {}, h("code", {}, digest), h("span", { class: "note" }, "not measured"));
  }
  const interval = intervalText(value, metric.unit);
  const words = [
    value === best ? "★ best" : null,
    unclear.includes(value) ? "≈ no clear difference to the best" : null,
    at === 0 || first === null ? null : ratioWords(value, first),
    value.provenance === "predicted" ? "predicted" : null,
    interval === null ? null : `90 % interval ${interval}`,
  ].filter((each) => each !== null);
  return h(
    "li",
    { class: value === best ? "is-best" : "", ...(value === best ? { "data-best": true } : {}) },
    h("code", {}, digest),
    bar(value, most),
    h("span", { class: "number" }, quantity(value.value, metric.unit)),
    h("span", { class: "note" }, words.join(", ")),
  );
}

/** The bar of a value from 0, with its interval as a whisker; hollow where it was predicted. */
function bar(value, most) {
  const place = (number) => (most === 0 ? 0 : (Math.abs(number) / most) * WIDTH);
  const whisker =
    value.lower === null || value.upper === null
      ? null
      : svg("path", {
          class: "whisker",
          d: `M${place(value.lower)} 4V10M${place(value.lower)} 7H${place(value.upper)}M${place(value.upper)} 4V10`,
        });
  return svg(
    "svg",
    { class: "bar-line", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", {
      class: value.provenance === "predicted" ? "bar-body is-predicted" : "bar-body",
      x: 0,
      y: 2,
      width: Math.max(place(value.value), 0.5),
      height: 10,
    }),
    whisker,
  );
}

function bestOf(values, goal) {
  if (goal === null || values.length < 2) return null;
  const sign = goal === "minimize" ? 1 : -1;
  const least = Math.min(...values.map(({ value }) => sign * value));
  const found = values.filter(({ value }) => sign * value === least);
  return found.length === 1 ? found[0] : null; // where several are equal, none is the best
}

function ratioWords(value, first) {
  return first.value === 0 ? null : `${brief(value.value / first.value, 3)} times the first`;
}

function goalWords({ goal, objective }) {
  if (goal === null) return null;
  const words = BETTER[goal];
  return h("span", { class: "note" }, objective ? `${words}, an objective` : words);
}
