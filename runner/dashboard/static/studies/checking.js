// A study is checked while it is written: some time after the last change, and only the newest answer counts.

import { newKey, post } from "../core/api.js";
import { fromSpec, nextName, withoutDefaults } from "./model.js";
import { readYaml } from "./yaml.js";

const PAUSE_MS = 400;
const NAMES_TRIED = 20;

export const YAML = "application/yaml";
const WORDS = [
  ["Field required", "this is needed"], ["Extra inputs are not permitted", "there is no such setting"],
  ["String should match pattern", "use letters, digits, '.', '_' and '-', at most 64, first a letter or digit"],
  ["Dictionary should have at least 1 item", "at least one is needed"],
  ["Input should be a valid integer", "this is no whole number"],
  ["Input should be a valid number", "this is no number"],
];
const JSON_TYPE = "application/json";

/** {soon(), now()}: `now()` resolves to the answer of POST /studies/validate for `body()` ({type, body}), which is also
 *  told to `checked`; null where a newer one was asked for meanwhile.  `failed(error)` where there is no answer. */
export function createChecker({ body, checked, failed }) {
  let timer = null;
  let newest = 0;

  async function now() {
    clearTimeout(timer);
    newest += 1;
    const mine = newest;
    try {
      const { type, body: sent } = body();
      const answer = await validate(sent, type);
      if (mine !== newest) return null;
      checked(answer);
      return answer;
    } catch (error) {
      if (mine === newest) failed(error);
      return null;
    }
  }

  return {
    now,
    soon: () => {
      newest += 1; // what is on its way is of something older
      clearTimeout(timer);
      timer = setTimeout(now, PAUSE_MS);
    },
  };
}

/** What the server says of a study: a specification, or a text of `YAML`. */
export async function validate(body, type = JSON_TYPE) {
  const answer = await post("/studies/validate", type === JSON_TYPE ? { spec: body } : body, { type });
  return { ...answer, errors: inWords(answer.errors) };
}

/** The same errors, those of the validating library in words of people who fill in a form. */
export function inWords(errors) {
  return errors.map(({ pointer, message }) => {
    const [, words] = WORDS.find(([begin]) => message.startsWith(begin)) ?? [null, message];
    return { pointer, message: words };
  });
}

/** The specification with every default of a study that says no more than this one's task, space and metrics. */
export async function usualFor(spec) {
  const metrics = Object.keys(spec.objectives ?? {});
  const bare = {
    name: `x${newKey().slice(0, 12)}`, task: spec.task, space: { name: spec.space?.name },
    objectives: Object.fromEntries(metrics.map((metric) => [metric, {}])),
  };
  if (metrics.length === 0) return null;
  return (await validate(bare)).spec;
}

/** How many architectures the space of a specification holds, in digits, whatever else is open; null for unknown. */
export async function sizeOf(spec) {
  if (typeof spec.space?.name !== "string" || typeof spec.task?.name !== "string") return null;
  const bare = { name: `x${newKey().slice(0, 12)}`, task: { name: spec.task.name }, space: spec.space };
  return (await validate({ ...bare, objectives: { parameters: {} } })).architectures;
}

/** The values of the form for a specification with or without its defaults; a name that is taken gets a number. */
export async function formOf(given, known, { rename = false } = {}) {
  const usual = await usualFor(given);
  const spec = usual === null ? given : withoutDefaults(given, usual);
  if (rename && typeof spec.name === "string") spec.name = await freeName(given);
  return { values: fromSpec(spec, known), usual };
}

/** The values of the form for a study file; null where it cannot be read. */
export async function formOfText(text, known, options) {
  const { yaml } = await validate(text, YAML);
  const given = yaml === null ? null : readYaml(yaml);
  if (given === null || typeof given !== "object" || Array.isArray(given)) return null;
  return formOf(given, known, options);
}

async function freeName(spec) {
  let { name } = spec;
  for (let tried = 0; tried < NAMES_TRIED; tried += 1) {
    const { code } = await validate({ ...spec, name });
    if (code !== "study_exists") return name;
    name = nextName(name);
  }
  return name;
}
