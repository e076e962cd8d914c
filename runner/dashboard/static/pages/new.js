// A new study: by form or as text, checked while it is written, sent once however often it is tried.

import { ApiProblem, get, newKey, post, Unreachable } from "../core/api.js";
import { byId, h, replace } from "../core/dom.js";
import { count } from "../core/format.js";
import { follow } from "../core/live.js";
import { panel } from "../core/panel.js";
import { marked, problemWords } from "../core/problems.js";
import { maySubmit } from "../core/rights.js";
import { createChecker, formOf, formOfText, inWords, sizeOf, YAML } from "../studies/checking.js";
import { dropDraft, keepDraft, readDraft } from "../studies/draft.js";
import { labelOf, placeErrors } from "../studies/fields.js";
import { createForm } from "../studies/form.js";
import { BLANK, settingsIn, toSpec } from "../studies/model.js";
import { createPaste } from "../studies/paste.js";
import { architectures, createSide } from "../studies/side.js";
import { createTabs } from "../studies/tabs.js";
import { writeYaml } from "../studies/yaml.js";
import { YamlError } from "../studies/yaml_scan.js";

const KEEP_MS = 200;
const query = new URLSearchParams(location.search);

async function load(signal) {
  const [session, spaces, tasks, catalogue] = await Promise.all(
    ["/session", "/spaces", "/tasks", "/catalogue"].map((path) => get(path, {}, { signal })),
  );
  const from = query.get("from");
  const source = from === null ? null : await get(`/studies/${encodeURIComponent(from)}`, {}, { signal });
  const known = knownOf(spaces.items, tasks.items, catalogue);
  const begin = () => beginning({ catalogue, source, known });
  const draft = readDraft();
  // The form is not shown before its values are here: they would replace what was typed meanwhile.
  const first = draft === null ? await begin() : null;
  return { session, spaces: spaces.items, tasks: tasks.items, catalogue, known, begin, draft, first };
}

function knownOf(spaces, tasks, catalogue) {
  const metrics = [...catalogue.costs, ...catalogue.latencies, ...tasks.flatMap((task) => task.metrics ?? [])];
  return {
    goals: Object.fromEntries(metrics.map(({ metric, goal }) => [metric, goal])),
    optionsOf: (name) => spaces.find((space) => space.name === name)?.options ?? [],
  };
}

/** {values, usual, words}: what the form holds at first, the specification whose defaults it shows, what is said. */
async function beginning({ catalogue, source, known }) {
  if (source !== null) {
    const made = await formOf(source.spec, known, { rename: true });
    return { ...made, words: `Everything is as in ${source.name}, but for the name.` };
  }
  const example = catalogue.examples.find(({ name }) => name === query.get("example"));
  if (example !== undefined) return fromExample(example, known);
  return { values: BLANK, usual: null, words: "" };
}

async function fromExample(example, known) {
  return { ...await formOfText(example.yaml, known, { rename: true }), words: "" };
}

function draw(body, { session, spaces, tasks, catalogue, known, begin, draft, first }) {
  const touched = new Set();
  let tab = "form";
  let everything = false; // whether errors of fields that nobody has touched are told, too
  let sent = null; // {body, key} of the last attempt
  let text = null; // {yaml, values}: the text, and the form that says the same
  let keeping = null;
  let mending = false; // whether the summary lists what is to be mended

  const form = createForm({ spaces, tasks, catalogue, changed });
  const paste = createPaste({ changed: () => changed(null) });
  const side = createSide({ name: () => form.read().name });
  const summary = h("div", { class: "summary", tabindex: "-1" });
  const said = h("p", { class: "said", role: "status" });
  const submit = h("button", { type: "submit", class: "button primary" }, "Submit the study");
  const whole = h("form", { novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    send();
  } });
  const byForm = h("div", { class: "by-form" }, form.root, side.root);
  const byText = h("div", { hidden: true }, paste.root);
  const tabs = createTabs({
    label: "How to write the study", wanted: (name) => turnTo(name),
    tabs: [{ name: "form", words: "By form", panel: byForm }, { name: "yaml", words: "Paste YAML", panel: byText }],
  });
  const checker = createChecker({ body: outgoing, checked, failed });

  function specOf() {
    return toSpec(form.read(), known.optionsOf(form.read().space));
  }

  function outgoing() {
    return tab === "yaml" ? { type: YAML, body: paste.read() } : { type: "application/json", body: specOf() };
  }

  function changed(pointer) {
    if (pointer !== null) touched.add(pointer);
    if (tab === "form") preview();
    clearTimeout(keeping);
    keeping = setTimeout(keep, KEEP_MS);
    checker.soon();
  }

  function keep() {
    clearTimeout(keeping);
    keeping = null;
    keepDraft({ values: form.read(), yaml: paste.read(), tab, sent });
  }

  function preview() {
    try {
      side.file(writeYaml(specOf()));
    } catch (error) {
      if (!(error instanceof YamlError)) throw error;
      place([{ pointer: "", message: `line ${error.line}: ${error.message}` }]);
    }
  }

  function isShown(pointer) {
    if (everything || pointer === "" && form.read().rest !== "") return true;
    return [...touched].some((each) => each !== "" && (pointer.startsWith(each) || each.startsWith(`${pointer}/`)));
  }

  function place(errors) {
    if (tab === "yaml") {
      paste.show(errors);
      return errors.map(({ message }) => ({ control: byId("paste"), message }));
    }
    return placeErrors(form.root, errors, form.root.querySelector("[data-rest]"), isShown);
  }

  async function checked(answer) {
    const placed = place(answer.errors);
    if (answer.valid) {
      const size = answer.architectures === null ? "" : `, ${architectures(answer.architectures)}`;
      side.status(`Ready to be submitted${size}`, true);
      if (mending) replace(summary); // why the server refused it stays until it is submitted again
      if (tab === "form") form.usual(answer.spec);
    } else {
      side.status(`${count(placed.length, "thing")} still open`, false);
      if (mending) summarize(placed);
    }
    if (tab !== "form") return;
    const digits = answer.architectures ?? await sizeOf(specOf()).catch(() => null);
    form.tell(digits === null ? "" : `${architectures(digits)} in this space.`);
  }

  function failed(error) {
    if (error instanceof YamlError) {
      everything = true;
      preview();
      return;
    }
    side.status(error instanceof Unreachable ? "The server does not answer; it cannot be checked now."
      : problemWords(error), false);
  }

  function summarize(placed) {
    mending = true;
    replace(summary, h("div", { class: "problem", role: "alert" },
      h("h2", {}, `${count(placed.length, "thing")} to mend before it can be submitted`),
      h("ul", {}, placed.map(({ control, message }) => h("li", {},
        h("a", { href: `#${control.id}`, onclick: (event) => {
          event.preventDefault();
          control.closest("details")?.setAttribute("open", "");
          control.focus();
        } }, labelOf(control)), `: ${message}`)))));
  }

  function refuse(...words) {
    mending = false;
    replace(summary, h("div", { class: "problem", role: "alert" }, h("p", {}, words)));
    summary.focus();
  }

  async function send() {
    if (submit.getAttribute("aria-disabled") === "true") return;
    everything = true;
    submit.setAttribute("aria-disabled", "true");
    said.textContent = "Submitting";
    try {
      const { type, body: study } = outgoing();
      const content = type === YAML ? study : JSON.stringify(study);
      // The same study with the same key is made once, whether or not the first answer arrived.
      if (sent?.content !== content) sent = { content, key: newKey() };
      keep();
      const made = await post("/studies", type === YAML ? study : { spec: study }, { key: sent.key, type });
      clearTimeout(keeping);
      keeping = null;
      dropDraft();
      location.assign(made.page);
    } catch (error) {
      notSent(error);
    } finally {
      submit.removeAttribute("aria-disabled");
      said.textContent = "";
    }
  }

  function notSent(error) {
    if (error instanceof YamlError) {
      preview();
      refuse(`Everything else, line ${error.line}: ${error.message}`);
    } else if (error instanceof Unreachable) {
      refuse("The server does not answer. Nothing that you typed is lost: submit it again when the server is back. "
        + "Should the first attempt have arrived, it is not made twice.");
    } else if (error instanceof ApiProblem && error.code === "study_exists") {
      const name = tab === "form" ? form.read().name.trim() : "this name";
      const placed = place([{ pointer: "/name", message: "you have a study of this name; choose another" }]);
      summarize(placed);
      summary.querySelector(".problem").append(h("p", {}, tab === "form"
        ? h("a", { href: `/studies/${encodeURIComponent(name)}` }, `Open the study ${name}`) : null));
      summary.focus();
    } else if (error instanceof ApiProblem && error.status === 422 && error.code !== "idempotency_mismatch") {
      const errors = error.errors.length > 0 ? inWords(error.errors) : [{ pointer: "", message: error.message }];
      summarize(place(errors));
      summary.focus();
    } else {
      refuse(marked(problemWords(error)), " What you typed is still here.");
    }
  }

  async function turnTo(name) {
    if (name === tab) return;
    replace(summary);
    said.textContent = "";
    if (name === "yaml") {
      const now = JSON.stringify(form.read());
      if (text === null || text.values !== now) text = { yaml: asText(), values: now };
      paste.fill(text.yaml);
    } else if (text === null || text.yaml !== paste.read()) {
      if (!await takeText()) return;
    }
    tab = name;
    tabs.show(name);
    if (name === "form") preview();
    keep();
    checker.now();
  }

  /** The form as text; what cannot be read in its rest goes along as it is. */
  function asText() {
    try {
      return writeYaml(specOf());
    } catch {
      const values = form.read();
      return `${writeYaml(toSpec({ ...values, rest: "" }, known.optionsOf(values.space)))}${values.rest}\n`;
    }
  }

  async function takeText() {
    const yaml = paste.read();
    try {
      const made = yaml.trim() === "" ? { values: BLANK } : await formOfText(yaml, known);
      if (paste.read() !== yaml) return takeText(); // somebody typed on meanwhile
      if (made === null) {
        await checker.now();
        said.textContent = "The form cannot show this: it is no study file that can be read. Mend it, or go on here.";
        return false;
      }
      form.fill(made.values);
      text = { yaml, values: JSON.stringify(form.read()) };
      const others = made.values.rest === "" ? [] : settingsIn(made.values.rest);
      said.textContent = others.length === 0 ? ""
        : `The form has no field for ${others.join(", ")}: that stands under "Everything else".`;
      return true;
    } catch (error) {
      said.textContent = `The form cannot show this now. ${problemWords(error)}`;
      return false;
    }
  }

  function start({ values, usual, words }) {
    if (usual !== null) form.usual(usual);
    form.fill(values);
    text = null;
    everything = false;
    touched.clear();
    replace(summary);
    said.textContent = words;
    tab = "form";
    tabs.show(tab);
    preview();
    keep();
    checker.now();
  }

  /** Start with what the server has yet to say; what is typed before that would be lost. */
  async function startWith(values) {
    whole.inert = true;
    try {
      start(await values);
    } catch (error) {
      refuse(marked(problemWords(error)));
    } finally {
      whole.inert = false;
    }
  }

  function offerStarts() {
    replace(byId("starts"), catalogue.examples.map((example, place) => h("button", {
      type: "button", class: "button", title: example.about, onclick: () => startWith(fromExample(example, known)),
    }, catalogue.examples.length === 1 || place === 0 ? "Start from the example" : `Start from ${example.name}`)));
  }

  function restore() {
    form.fill({ ...BLANK, ...draft.values });
    paste.fill(draft.yaml);
    sent = draft.sent;
    tab = draft.tab;
    tabs.show(tab);
    preview();
    const afresh = h("button", { type: "button", class: "button quiet", onclick: () => {
      dropDraft();
      byId("restored").hidden = true;
      startWith(begin());
    } }, "Start afresh");
    byId("restored").hidden = false;
    const at = new Date(draft.at).toLocaleTimeString();
    replace(byId("restored"), `What you had typed by ${at} is here again. `, afresh);
    checker.now();
  }

  const foot = maySubmit(session) ? h("div", { class: "toolbar submit" }, submit, said)
    : h("p", { class: "why" }, "Your session may only look: a study cannot be submitted with it.");
  replace(whole, summary, tabs.root, byForm, byText, foot);
  replace(body, whole);
  form.fill(BLANK);
  tabs.show(tab);
  offerStarts();
  addEventListener("pagehide", () => {
    if (keeping !== null) keep(); // what was typed a moment ago
  });
  if (draft === null) start(first);
  else restore();
}

panel(byId("form"), { load, draw }).refresh();
follow(null, () => {}); // what happens elsewhere is not for this page, but whether the server is there
