// What was learned: how the front grew, which choices matter, how good predictions are, how the supernet trains, and how
// far shared weights can be trusted.  Each panel asks the API for its own document.

import { createBars } from "../charts/bars.js";
import { createCalibration } from "../charts/calibration.js";
import { createLines } from "../charts/lines.js";
import { get } from "../core/api.js";
import { byId, h, replace } from "../core/dom.js";
import { count, number, quantity } from "../core/format.js";
import { panel } from "../core/panel.js";

const SHOWN_CHOICES = 10;

/** Make the panels; the functions that read them anew, by name. */
export function createInsightPanels(store, naming, path) {
  return {
    course: coursePanel(path),
    matters: mattersPanel(naming, path),
    calibration: calibrationPanel(store, path),
    training: trainingPanel(naming, path),
    trust: trustPanel(path),
  };
}

function coursePanel(path) {
  let byTime = false;
  let known = null;
  const host = h("div", { class: "chart" });
  const chart = createLines(host);
  const shown = panel(byId("course-panel"), {
    load: (signal) => get(`${path}/hypervolume`, {}, { signal }),
    empty: (found) => (found.evaluations.length === 0 ? "The hypervolume is drawn from the first evaluation within the bounds." : null),
    draw(body, found) {
      known = found;
      const begin = Date.parse(found.times[0]);
      const x = byTime ? found.times.map((time) => (Date.parse(time) - begin) / 1000) : found.evaluations;
      replace(body,
        h("div", { class: "toolbar", role: "group", "aria-label": "Horizontal axis" },
          switchTo("evaluations", false, "over evaluations"), switchTo("time", true, "over time")),
        host,
        h("p", { class: "note" }, "Measured from the worst of each objective so far: ",
          found.metrics.map((metric, place) => `${metric} ${number(found.reference[place])}`).join(", "), "."));
      chart.update({
        series: [{ name: "hypervolume", x, y: found.hypervolume }],
        xLabel: byTime ? "time since the first evaluation" : "evaluations", xUnit: byTime ? "s" : "",
        yLabel: "hypervolume", yUnit: "", note: "",
      });
    },
  });

  function switchTo(name, value, words) {
    return h("button", {
      type: "button", class: "button quiet", "aria-pressed": String(byTime === value), "data-axis": name,
      onclick: () => {
        byTime = value;
        shown.show(known);
        document.querySelector(`#course-panel [data-axis="${name}"]`)?.focus();
      },
    }, words);
  }

  return shown;
}

function mattersPanel(naming, path) {
  let metric = null;
  let known = null;
  const host = h("div", { class: "chart" });
  const chart = createBars(host);
  const shown = panel(byId("matters-panel"), {
    load: (signal) => get(`${path}/importances`, {}, { signal }),
    empty: (found) => (found.metrics.length === 0 ? found.reason ?? "Nothing can be said yet." : null),
    draw(body, found) {
      known = found;
      const entry = found.metrics.find((each) => each.metric === metric) ?? found.metrics[0];
      metric = entry.metric;
      const select = h("select", {
        onchange: () => {
          metric = select.value;
          shown.show(known);
          document.querySelector("#matters-panel select")?.focus();
        },
      }, found.metrics.map((each) => h("option", { value: each.metric, selected: each.metric === metric }, naming.label(each.metric))));
      replace(body,
        h("label", { class: "pick" }, h("span", {}, "for"), select),
        host,
        h("p", { class: "note" }, `From ${count(found.evaluations, "evaluation")}`,
          found.evaluations < found.of ? ` of ${found.of.toLocaleString("en")}` : "",
          `, by ${entry.method}; a model of these choices orders unseen architectures with a rank correlation of ${number(entry.agreement)}.`),
        rules(found.rules.filter((rule) => rule.metric === metric), naming));
      chart.update({
        items: entry.choices.slice(0, SHOWN_CHOICES).map((choice) => ({
          label: choice.choice, share: choice.share, tone: choice.direction,
          text: `${number(choice.share * 100)} %: best ${choice.best}, worst ${choice.worst}, ${effect(choice, metric, naming)} apart`,
        })),
      });
    },
  });
  return shown;
}

function effect(choice, metric, naming) {
  const unit = naming.unit(metric);
  return unit === "fraction" ? `${number(Math.abs(choice.effect) * 100)} points` : quantity(Math.abs(choice.effect), unit);
}

function rules(found, naming) {
  if (found.length === 0) return h("p", { class: "note" }, "No short rule sets some architectures clearly apart.");
  return h("div", {}, h("h3", {}, "Rules of thumb"), h("ul", { class: "rules" }, found.map((rule) => h("li", {},
    rule.conditions.map((each) => `${each.choice} ${each.comparison} ${each.value}`).join(" and "),
    h("span", { class: "note" },
      `${naming.text(rule.metric, rule.mean)} on average, ${naming.text(rule.metric, rule.rest)} elsewhere; from ${count(rule.support, "evaluation")}`)))));
}

function calibrationPanel(store, path) {
  const host = h("div", { class: "chart" });
  const chart = createCalibration(host, { onFocus: (digest) => store.set({ point: digest }) });
  return panel(byId("calibration-panel"), {
    load: (signal) => get(`${path}/calibration`, {}, { signal }),
    empty: (found) => (found.items.some((item) => item.points.length > 0)
      ? null : "Here stand predictions beside what was measured later; nothing that was predicted has been measured yet."),
    draw(body, found) {
      const item = found.items.find((each) => each.points.length > 0);
      replace(body, host, h("p", { class: "note" },
        `${item.inside} of ${item.checked} measurements lie within the interval, which promises ${number(item.level * 100)} %. `,
        item.kendall === null ? "" : `Kendall's rank correlation ${number(item.kendall)}. `,
        `Mean absolute error ${quantity(item.mean_absolute_error, item.unit)}.`));
      chart.update({ points: item.points, label: item.label, unit: item.unit, focusDigest: store.get().point });
    },
  });
}

function trainingPanel(naming, path) {
  const host = h("div", { class: "chart" });
  const chart = createLines(host);
  return panel(byId("training-panel"), {
    load: (signal) => get(`${path}/training`, {}, { signal }),
    empty: (found) => (found.steps.length === 0 ? "The supernet's scores appear with its first check." : null),
    draw(body, found) {
      replace(body, host, h("p", { class: "note" },
        `The largest, the smallest and random subnets, scored while the shared weights are trained`,
        found.steps_wanted === null ? "" : ` for ${found.steps_wanted.toLocaleString("en")} steps`,
        found.precision === null ? ". " : ` in ${found.precision}. `,
        found.rollbacks > 0 ? `${count(found.rollbacks, "time")} training went back to an earlier state.` : "Training never had to go back."));
      chart.update({
        series: ["largest", "random", "smallest"].filter((name) => found.series[name]?.length > 0)
          .map((name) => ({ name, x: found.steps, y: found.series[name] })),
        xLabel: "steps", xUnit: "", yLabel: naming.label(found.metric), yUnit: naming.unit(found.metric), note: "",
      });
    },
  });
}

function trustPanel(path) {
  return panel(byId("trust-panel"), {
    load: (signal) => get(`${path}/trust`, {}, { signal }),
    empty: (found) => (found.agreement.rows.length === 0 && found.agreement.sentences.length === 0 && found.fidelity === null
      ? "Once points are retrained and exported, this says whether their order held." : null),
    draw(body, found) {
      const { fidelity } = found;
      replace(body,
        found.agreement.rows.length > 0 && table("Rank correlations over all points that have both numbers", found.agreement),
        found.agreement.sentences.map((sentence) => h("p", {}, sentence)),
        fidelity !== null && [
          h("h3", {}, "Against training alone"),
          fidelity.sentences.map((sentence) => h("p", {}, sentence)),
          h("img", { class: "picture", src: fidelity.picture, width: "880", height: "748",
            alt: "Each mark is an architecture: its score with shared weights, and trained alone." }),
          fidelity.rows.length > 0 && table("Rankings against training alone, with 90 % intervals", fidelity),
        ]);
    },
  });
}

function table(caption, { columns, rows }) {
  return h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", { class: "data" }, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col" }, column)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, place) => (place === 0
        ? h("th", { scope: "row" }, cell) : h("td", {}, cell))))))));
}
