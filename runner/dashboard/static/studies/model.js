// A study as the form holds it, and as the specification that the server takes; one into the other and back.
//
// Numbers are kept as they were typed, so that nothing is changed in passing; what the form has no field for stands in
// `rest`, as YAML.

import { readYaml, writeYaml } from "./yaml.js";
import { define } from "./yaml_scan.js";

export const MOST_OBJECTIVES = 6;
export const POINTS = Object.freeze(["knee", "ends"]);

// Fields of the form and where they stand in a specification; `number` for those that hold one.
const PATHS = [
  ["name", ["name"]], ["task", ["task", "name"]], ["data", ["task", "data"]], ["space", ["space", "name"]],
  ["steps", ["train", "steps"], "number"], ["recipe", ["train", "recipe"]],
  ["algorithm", ["search", "algorithm"]], ["evaluations", ["search", "evaluations"], "number"],
  ["measured", ["search", "measured_latencies"], "number"],
  ["retrainSteps", ["retrain", "steps"], "number"], ["seed", ["seed"], "number"],
];
const SECTIONS = ["name", "task", "space", "objectives", "train", "search", "retrain", "export", "seed"];

/** A form in which nothing has been said. */
export const BLANK = Object.freeze({
  name: "", task: "", data: "", space: "", choices: {}, objectives: [], steps: "", recipe: "", algorithm: "",
  evaluations: "", measured: "", retrainSteps: "", points: null, formats: null, seed: "", rest: "",
});

/** The specification of a form; `choices` of the space that are as usual (`options`: [{name, default}]) are left out.
 *  Throws `YamlError` where `rest` cannot be read. */
export function toSpec(values, options) {
  const spec = asMapping(readYaml(values.rest)) ?? {};
  for (const [field, path, kind] of PATHS) {
    const given = values[field].trim();
    if (given !== "") put(spec, path, kind === "number" ? asNumber(given) : given);
  }
  for (const { name, default: usual } of options) {
    const chosen = values.choices[name];
    if (chosen !== undefined && !same(chosen, usual)) put(spec, ["space", "choices", name], chosen);
  }
  for (const { metric, goal, low, high } of values.objectives) {
    const given = { ...(spec.objectives?.[metric] ?? {}), goal };
    if (low.trim() !== "") given.at_least = asNumber(low);
    if (high.trim() !== "") given.at_most = asNumber(high);
    put(spec, ["objectives", metric], given);
  }
  if (values.points !== null) put(spec, ["retrain", "points"], values.points);
  if (values.formats !== null) put(spec, ["export", "formats"], values.formats);
  const ordered = {};
  for (const name of [...SECTIONS, ...Object.keys(spec)]) {
    if (Object.hasOwn(spec, name)) define(ordered, name, spec[name]);
  }
  return ordered;
}

/** The form for a specification, `goals` by metric for those that it does not give, `options` as above. */
export function fromSpec(given, { goals, optionsOf }) {
  const spec = structuredClone(given);
  const values = { ...BLANK, choices: {}, objectives: [] };
  for (const [field, path, kind] of PATHS) {
    const found = take(spec, path, (value) => typeof value === (kind ?? "string") || typeof value === "string");
    if (found !== undefined) values[field] = String(found);
  }
  for (const { name } of optionsOf(values.space)) {
    const found = take(spec, ["space", "choices", name], (value) => typeof value !== "object" || Array.isArray(value));
    if (found !== undefined) values.choices[name] = [found].flat();
  }
  if (asMapping(spec.objectives) !== null) {
    for (const metric of Object.keys(spec.objectives).slice(0, MOST_OBJECTIVES)) {
      values.objectives.push(objectiveOf(spec.objectives, metric, goals));
    }
  }
  const points = take(spec, ["retrain", "points"], (value) => Array.isArray(value)
    && value.every((each) => POINTS.includes(each)));
  if (points !== undefined) values.points = points;
  const formats = take(spec, ["export", "formats"], (value) => Array.isArray(value)
    && value.every((each) => typeof each === "string"));
  if (formats !== undefined) values.formats = formats;
  const rest = withoutEmpty(spec);
  values.rest = Object.keys(rest).length === 0 ? "" : writeYaml(rest);
  return values;
}

/** What is left of a specification when everything goes that is as it is without being said.  `usual` is the
 *  specification, with every default, of a study that says nothing. */
export function withoutDefaults(spec, usual) {
  const left = structuredClone(spec);
  for (const section of ["train", "search", "retrain", "export"]) dropSame(left[section], usual[section]);
  if (left.seed === usual.seed) delete left.seed;
  for (const [metric, each] of Object.entries(asMapping(left.objectives) ?? {})) {
    dropSame(each, usual.objectives[metric]);
  }
  for (const section of ["train", "search", "retrain", "export"]) {
    if (asMapping(left[section]) !== null && Object.keys(left[section]).length === 0) delete left[section];
  }
  return left;
}

/** The rest of a form without what it says of one objective, which was taken away. */
export function restWithoutObjective(rest, metric) {
  try {
    const spec = asMapping(readYaml(rest)) ?? {};
    if (!Object.hasOwn(asMapping(spec.objectives) ?? {}, metric)) return rest;
    delete spec.objectives[metric];
    return writeYaml(withoutEmpty(spec));
  } catch {
    return rest; // it says itself that it cannot be read
  }
}

/** The names of all settings in a text: `train.batch`. */
export function settingsIn(rest) {
  const found = [];
  const walk = (value, path) => {
    if (asMapping(value) === null || Object.keys(value).length === 0) found.push(path.join("."));
    else for (const [key, each] of Object.entries(value)) walk(each, [...path, key]);
  };
  for (const [key, each] of Object.entries(asMapping(readYaml(rest)) ?? {})) walk(each, [key]);
  return found;
}

/** A name like this one, with the next number. */
export function nextName(name) {
  const [, stem, number] = /^(.*?)(?:-(\d{1,9}))?$/.exec(name);
  const end = `-${number === undefined ? 2 : Number(number) + 1}`;
  return stem.slice(0, 64 - end.length) + end;
}

function objectiveOf(objectives, metric, goals) {
  const each = asMapping(objectives[metric]) ?? {};
  const goal = ["minimize", "maximize"].includes(each.goal) ? each.goal : goals[metric] ?? "minimize";
  const bound = (value) => (typeof value === "number" ? String(value) : "");
  const made = { metric, goal, low: bound(each.at_least), high: bound(each.at_most) };
  // What is no mapping stays as it is: the server says what is wrong with it.
  if (objectives[metric] !== null && asMapping(objectives[metric]) === null) return made;
  for (const key of ["goal", "at_least", "at_most"]) {
    if (each[key] === null || typeof each[key] === "number" || key === "goal") delete each[key];
  }
  if (Object.keys(each).length === 0) delete objectives[metric];
  return made;
}

function put(spec, path, value) {
  let place = spec;
  for (const key of path.slice(0, -1)) {
    if (!Object.hasOwn(place, key) || asMapping(place[key]) === null) define(place, key, {});
    place = place[key];
  }
  define(place, path.at(-1), value);
}

function take(spec, path, fits) {
  let place = spec;
  for (const key of path.slice(0, -1)) {
    if (asMapping(place) === null || !Object.hasOwn(place, key)) return undefined;
    place = place[key];
  }
  const last = path.at(-1);
  if (asMapping(place) === null || !Object.hasOwn(place, last)) return undefined;
  if (place[last] === null || !fits(place[last])) return undefined;
  const value = place[last];
  delete place[last];
  return value;
}

function dropSame(part, usual) {
  if (asMapping(part) === null || asMapping(usual) === null) return;
  for (const key of Object.keys(part)) if (same(part[key], usual[key])) delete part[key];
}

function withoutEmpty(spec) {
  const left = {};
  for (const [key, value] of Object.entries(spec)) {
    const inner = asMapping(value) === null ? value : withoutEmpty(value);
    if (inner !== null && (asMapping(inner) === null || Object.keys(inner).length > 0)) define(left, key, inner);
  }
  return left;
}

function asMapping(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
}

function asNumber(text) {
  const value = Number(text.trim());
  return Number.isFinite(value) ? value : text.trim(); // the server says that this is no number
}

/** Whether two values that JSON can hold are the same. */
export function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
