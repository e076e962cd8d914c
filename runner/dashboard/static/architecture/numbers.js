// All numbers of an architecture: a row for each metric, a column for each kind of weights that it was measured with.

import { h } from "../core/dom.js";
import { quantity } from "../core/format.js";
import { BETTER, FIDELITIES } from "../core/names.js";
import { intervalText } from "./words.js";

const ORDER = Object.keys(FIDELITIES);

/** The name of a device by its id, from the items of GET /devices. */
export function deviceNames(devices) {
  return new Map(devices.map((device) => [device.id, device.name]));
}

/** A table of the numbers of an architecture's document; `metrics` and `provenances` are of GET /metrics, `devices` a
 *  Map of names. */
export function numbersTable(found, { metrics, provenances, devices }) {
  const fidelities = [...new Set(found.numbers.map(({ fidelity }) => fidelity))].sort(
    (one, other) => place(one) - place(other),
  );
  const known = new Map(metrics.map((metric) => [metric.metric, metric]));
  const names = [...new Set(found.numbers.flatMap(({ values }) => values.map(({ metric }) => metric)))];
  const order = (name) => (known.has(name) ? [...known.keys()].indexOf(name) : known.size);
  names.sort((one, other) => order(one) - order(other));
  const failures = found.numbers.filter(({ failure }) => failure !== null);
  return [
    names.length === 0
      ? null
      : h(
          "div",
          { class: "scroll", role: "region", "aria-label": "Table of numbers", tabindex: "0" },
          h(
            "table",
            { class: "data cards" },
            h("caption", { class: "sr-only" }, `Numbers of ${found.digest} by metric and kind of weights`),
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                h("th", { scope: "col" }, "metric"),
                fidelities.map((fidelity) =>
                  h("th", { scope: "col", class: "number" }, FIDELITIES[fidelity] ?? fidelity),
                ),
              ),
            ),
            h(
              "tbody",
              {},
              names.map((name) =>
                h(
                  "tr",
                  { "data-metric": name },
                  h("th", { scope: "row" }, known.get(name)?.label ?? name, goalNote(known.get(name))),
                  fidelities.map((fidelity) => cell(found, name, fidelity, known.get(name), { devices })),
                ),
              ),
            ),
          ),
        ),
    failures.map(({ fidelity, failure }) =>
      h(
        "p",
        { class: "problem" },
        h("strong", {}, `${FIDELITIES[fidelity] ?? fidelity}: no result. `),
        `${failure.kind}: ${failure.message}`,
      ),
    ),
    h("dl", { class: "meanings" }, meanings(found, provenances)),
  ];
}

function cell(found, name, fidelity, metric, { devices }) {
  const values = found.numbers
    .filter((each) => each.fidelity === fidelity)
    .flatMap((each) => each.values)
    .filter((value) => value.metric === name);
  return h(
    "td",
    { class: "number", "data-label": FIDELITIES[fidelity] ?? fidelity },
    values.length === 0
      ? h("span", { class: "note" }, "not measured")
      : h(
          "span",
          {},
          values.map((value) => one(value, metric, devices)),
        ),
  );
}

function one(value, metric, devices) {
  const unit = metric?.unit ?? "";
  const interval = intervalText(value, unit);
  const device = value.device_id === null ? null : (devices.get(value.device_id) ?? value.device_id);
  return h(
    "span",
    { class: "row" },
    quantity(value.value, unit),
    h(
      "span",
      { class: "note" },
      h("span", { class: value.provenance === "predicted" ? "mark is-predicted" : "mark", "aria-hidden": "true" }),
      value.provenance,
    ),
    interval === null ? null : h("span", { class: "note" }, `90 % interval ${interval}`),
    device === null ? null : h("span", { class: "note" }, `on ${device}`),
  );
}

function meanings(found, provenances) {
  const used = new Set(found.numbers.flatMap(({ values }) => values.map(({ provenance }) => provenance)));
  return provenances
    .filter(({ name }) => used.has(name))
    .map(({ name, meaning }) =>
      h(
        "div",
        {},
        h(
          "dt",
          {},
          h("span", { class: name === "predicted" ? "mark is-predicted" : "mark", "aria-hidden": "true" }),
          name,
        ),
        h("dd", {}, meaning),
      ),
    );
}

function goalNote(metric) {
  if (metric === undefined || metric.goal === null) return null;
  const words = BETTER[metric.goal];
  return h("span", { class: "note" }, metric.objective ? `${words}, an objective` : words);
}

function place(fidelity) {
  const found = ORDER.indexOf(fidelity);
  return found < 0 ? ORDER.length : found;
}
