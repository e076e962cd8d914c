// The objectives in the form: one to six metrics, which way each is better, and limits.

import { h, replace } from "../core/dom.js";
import { choose, field, group, line, part } from "./fields.js";
import { MOST_OBJECTIVES, restWithoutObjective } from "./model.js";

const GOALS = Object.freeze([
  { value: "minimize", label: "when lower" }, { value: "maximize", label: "when higher" },
]);

/** The metrics that a study of this task and space may name: [{metric, label, unit, goal, kind}]. */
export function metricsFor({ task, space, catalogue }) {
  const fits = ({ families }) => families === null || space === "" || families.includes(space);
  const kinds = [
    ["how well", task?.metrics ?? []], ["from the structure", catalogue.costs.filter(fits)],
    ["measured on this machine", catalogue.latencies.filter(fits)],
  ];
  return kinds.flatMap(([kind, metrics]) => metrics.map((each) => ({ ...each, kind })));
}

/** Draws the rows into `host`.  `values` is the form's; `changed()` is told of every change, after the rows are drawn
 *  again where that is needed. */
export function drawObjectives(host, { values, metrics, changed }) {
  const redraw = () => {
    drawObjectives(host, { values, metrics, changed });
    changed();
  };
  const used = new Set(values.objectives.map(({ metric }) => metric));
  const free = metrics.filter(({ metric }) => !used.has(metric));
  const add = h("button", {
    type: "button", class: "button", disabled: used.size >= MOST_OBJECTIVES || free.length === 0,
    onclick: () => {
      values.objectives.push({ metric: free[0].metric, goal: free[0].goal ?? "minimize", low: "", high: "" });
      redraw();
      host.querySelector(".objective-row:last-of-type select")?.focus();
    },
  }, "Add an objective");
  replace(host, values.objectives.map((each, index) => row(each, index)), add,
    used.size >= MOST_OBJECTIVES ? h("span", { class: "hint" }, ` ${MOST_OBJECTIVES} are the most.`) : null);

  function row(each, index) {
    const known = metrics.find(({ metric }) => metric === each.metric);
    const items = metrics.filter(({ metric }) => metric === each.metric || !used.has(metric))
      .map(({ metric, label, kind }) => ({ value: metric, label, group: kind }));
    const place = `/objectives${part(each.metric)}`;
    const unit = known?.unit ?? "";
    const bound = (name, words) => field({
      label: words, unit, pointer: `${place}/${name === "low" ? "at_least" : "at_most"}`,
      control: line({
        value: each[name], inputmode: "decimal", placeholder: "no limit",
        oninput: (text) => {
          each[name] = text;
          changed();
        },
      }),
    });
    return group({ label: known?.label ?? each.metric, pointer: place },
      h("div", { class: "objective-row" },
        field({
          label: "Metric", pointer: `${place}/metric`,
          control: choose({
            items, value: each.metric,
            onchange: (metric) => {
              const goal = metrics.find((other) => other.metric === metric)?.goal ?? "minimize";
              values.rest = restWithoutObjective(values.rest, each.metric);
              values.objectives[index] = { metric, goal, low: "", high: "" };
              redraw();
              host.querySelectorAll(".objective-row")[index].querySelector("select").focus();
            },
          }),
        }),
        field({
          label: "Better", pointer: `${place}/goal`,
          control: choose({
            items: GOALS, value: each.goal,
            onchange: (goal) => {
              each.goal = goal;
              changed();
            },
          }),
        }),
        bound("low", "At least"), bound("high", "At most"),
        h("button", {
          type: "button", class: "button quiet remove", "aria-label": `Remove ${known?.label ?? each.metric}`,
          onclick: () => {
            values.objectives.splice(index, 1);
            values.rest = restWithoutObjective(values.rest, each.metric);
            redraw();
            host.querySelector("button:last-of-type").focus();
          },
        }, "Remove")));
  }
}
