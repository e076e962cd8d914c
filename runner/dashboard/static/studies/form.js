// A study by form: what it is called, what is learnt, what is searched, what counts, and for how long.

import { h, replace } from "../core/dom.js";
import { drawChoices } from "./choices.js";
import { choose, field, group, line, tick } from "./fields.js";
import { POINTS, same } from "./model.js";
import { drawObjectives, metricsFor } from "./objectives.js";

const POINT_WORDS = { knee: "the knee, the best trade-off", ends: "the ends, the best in each objective" };
const DATA = {
  needed: "This task needs data of yours: the name under which it was registered with `supernaut data add`.",
  possible: "The name of registered data; empty for what the task brings.",
};

/** {root, fill(values), read(), usual(spec)}: `changed(pointer)` is told where somebody has changed something. */
export function createForm({ spaces, tasks, catalogue, changed }) {
  const root = h("div", { class: "form" });
  let values = null;
  let usualSpec = null; // what is recorded where nothing is said

  const taskOf = () => tasks.find(({ name }) => name === values.task);
  const spaceOf = () => spaces.find(({ name }) => name === values.space);
  const metrics = () => metricsFor({ task: taskOf(), space: values.space, catalogue });
  const typed = (name, pointer) => (text) => {
    values[name] = text;
    changed(pointer);
  };

  function draw() {
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.pointer : null;
    replace(root, basics(), space(), objectives(), budget(), files(), advanced());
    if (focused) [...root.querySelectorAll("[data-pointer]")].find((each) => each.dataset.pointer === focused)?.focus();
    if (usualSpec !== null) usual(usualSpec);
  }

  function section(title, hint, ...children) {
    return h("section", { class: "panel", "aria-label": title }, h("div", { class: "panel-head" }, h("h2", {}, title)),
      hint === "" ? null : h("p", { class: "hint" }, hint), children);
  }

  function basics() {
    const task = taskOf();
    return section("What is learnt", "", h("div", { class: "fields" },
      field({
        label: "Name of the study", hint: "Yours to choose: letters, digits, '.', '_' and '-'.", pointer: "/name",
        control: line({ value: values.name, maxlength: 64, oninput: typed("name", "/name") }),
      }),
      field({
        label: "Task", hint: task?.about ?? "What the models shall do.", pointer: "/task/name",
        control: choose({
          items: tasks.map(({ name }) => ({ value: name, label: name })), value: values.task, empty: "choose a task",
          onchange: (name) => {
            values.task = name;
            adapt();
            draw();
            changed("/task/name");
          },
        }),
      }),
      task?.data || values.data !== "" ? field({
        label: "Data", hint: DATA[task?.data] ?? "The name of registered data.", pointer: "/task/data",
        control: line({ value: values.data, maxlength: 64, oninput: typed("data", "/task/data") }),
      }) : null));
  }

  /** What does not fit another task or space gives way. */
  function adapt() {
    const fitting = taskOf()?.families ?? null;
    if (fitting !== null && fitting.length > 0 && !fitting.includes(values.space)) {
      values.space = fitting[0];
      values.choices = {};
    }
    const known = metrics();
    if (known.length === 0) return;
    values.objectives = values.objectives.filter((each) => known.some(({ metric }) => metric === each.metric));
    if (values.objectives.length > 0 || !taskOf()?.metrics?.length) return;
    const first = [taskOf().metrics[0], known.find(({ kind }) => kind.startsWith("measured"))].filter(Boolean);
    values.objectives = first.map(({ metric, goal }) => ({ metric, goal: goal ?? "minimize", low: "", high: "" }));
  }

  function space() {
    const fitting = taskOf()?.families ?? null;
    const fits = ({ name, own }) => fitting === null || own || fitting.includes(name) || name === values.space;
    const items = spaces.filter(fits).map(({ name }) => ({ value: name, label: name }));
    const choices = h("div", { class: "choices" });
    drawChoices(choices, { values, options: spaceOf()?.options ?? [], changed: () => changed("/space/choices") });
    return section("What is searched", "",
      h("div", { class: "fields" }, field({
        label: "Family of architectures", hint: spaceOf()?.about ?? "Which kind of network.", pointer: "/space/name",
        control: choose({
          items, value: values.space, empty: "choose a family",
          onchange: (name) => {
            values.space = name;
            values.choices = {};
            adapt();
            draw();
            changed("/space/name");
          },
        }),
      })),
      h("p", { class: "count", role: "status", "data-count": true }),
      h("details", {},
        h("summary", {}, "Narrow the choices", h("span", { class: "hint" }, narrowed())),
        group({ label: "Choices", hint: "What is ticked may occur in an architecture.", pointer: "/space/choices" },
          choices)));
  }

  function narrowed() {
    const names = (spaceOf()?.options ?? []).filter(({ name, default: usual }) => {
      const chosen = values.choices[name];
      return chosen !== undefined && !same(chosen, usual);
    }).map(({ name }) => name);
    return names.length === 0 ? "" : ` ${names.join(", ")}: not as usual`;
  }

  function objectives() {
    const host = h("div", { class: "objectives-form" });
    drawObjectives(host, { values, metrics: metrics(), changed: () => changed("/objectives") });
    return section("What counts", "",
      group({
        label: "Objectives", pointer: "/objectives",
        hint: "One to six. The front holds the architectures that nothing beats in all of them. Limits are hard.",
      }, host));
  }

  function amount(name, label, hint, pointer) {
    return field({ label, hint, pointer,
      control: line({ value: values[name], inputmode: "numeric", oninput: typed(name, pointer) }) });
  }

  function named(name, label, pointer, list) {
    const about = list.find((each) => each.name === values[name])?.about ?? "";
    return field({ label, hint: about, pointer, control: choose({
      items: list.map((each) => ({ value: each.name, label: each.name })), value: values[name], empty: "as usual",
      onchange: (chosen) => {
        values[name] = chosen;
        draw();
        changed(pointer);
      },
    }) });
  }

  function budget() {
    const points = values.points ?? [POINTS[0]];
    const hint = "What is left empty is as usual; that stands in the field.";
    return section("For how long", hint, h("div", { class: "fields" },
      amount("steps", "Training steps", "Of the supernet, which all architectures share.", "/train/steps"),
      named("recipe", "Recipe of the training", "/train/recipe", catalogue.recipes),
      amount("evaluations", "Evaluations", "Architectures that are scored.", "/search/evaluations"),
      amount("measured", "Latencies measured", "Of them timed first, to learn the latency of the others.",
        "/search/measured_latencies"),
      named("algorithm", "Search", "/search/algorithm", catalogue.algorithms),
      amount("retrainSteps", "Steps of retraining", "Of each chosen point, alone.", "/retrain/steps")),
    group({ label: "Retrain", hint: "Other points can be retrained later.", pointer: "/retrain/points" },
      h("div", { class: "values" }, POINTS.map((point) => tick({
        label: POINT_WORDS[point], checked: points.includes(point),
        onchange: (on) => {
          const now = values.points ?? [POINTS[0]];
          values.points = POINTS.filter((each) => (each === point ? on : now.includes(each)));
          changed("/retrain/points");
        },
      })))));
  }

  function files() {
    const all = catalogue.formats.map(({ name }) => name);
    const chosen = values.formats ?? ["onnx"];
    const extra = chosen.filter((name) => !all.includes(name)).map((name) => ({ name, about: "unknown here" }));
    return section("What comes out", "",
      group({ label: "Formats of the exported model", hint: "onnx is always written.", pointer: "/export/formats" },
        h("div", { class: "formats" }, [...catalogue.formats, ...extra].map(({ name, about }) => tick({
          label: name, hint: about, checked: chosen.includes(name),
          onchange: (on) => {
            const now = values.formats ?? ["onnx"];
            values.formats = on ? [...now, name] : now.filter((each) => each !== name);
            changed("/export/formats");
          },
        })))),
      h("div", { class: "fields" }, amount("seed", "Seed", "The same seed on the same machine gives the same study.",
        "/seed")));
  }

  function advanced() {
    const area = h("textarea", { class: "code", rows: 5, spellcheck: "false", "data-rest": true,
      placeholder: "train: {batch: 64}" });
    area.value = values.rest;
    area.addEventListener("input", () => {
      values.rest = area.value;
      changed("");
    });
    return section("Everything else", "", h("details", { open: values.rest !== "" },
      h("summary", {}, "Settings that have no field"),
      field({ label: "More of the study file", pointer: "", control: area,
        hint: "As YAML, by section: options of the task, of the training, of the search." })));
  }

  /** Show in empty fields what they stand for. */
  function usual(spec) {
    usualSpec = spec;
    for (const input of root.querySelectorAll("input[data-pointer]")) {
      const value = input.dataset.pointer.split("/").slice(1).reduce((place, key) => place?.[key], spec);
      const isLimit = input.dataset.pointer.startsWith("/objectives");
      if (typeof value === "number" && !isLimit) input.placeholder = String(value);
    }
  }

  function tell(words) {
    const spot = root.querySelector("[data-count]");
    if (spot !== null && spot.textContent !== words) spot.textContent = words;
  }

  return {
    root, usual, tell,
    read: () => values,
    fill: (given) => {
      values = structuredClone({ ...given });
      draw();
    },
  };
}
