// Taking an architecture home: asking for jobs, following them, and what they leave.  Jobs are found again by asking
// the server, so that nothing is lost with a page or a connection.

import { ApiProblem, get, newKey, patch, post } from "../core/api.js";
import { copyButton } from "../core/copying.js";
import { h, replace } from "../core/dom.js";
import { follow } from "../core/live.js";
import { problemWords } from "../core/problems.js";
import { jobCard } from "./job_card.js";
import { concerns, UNDER_WAY } from "./jobs.js";
import { exportCommand, exportPython } from "./snippets.js";

const LOOK_MS = 2_000; // between two looks at a job that runs: its progress makes no event
const MAIN = "onnx"; // every bundle has it
const MAY_ASK = ["submit", "admin"];

/** Fill `section` for an architecture.  `about`: {found, study, metrics (items), formats (of the catalogue), session};
 *  `onDone()` is called when a job has left new numbers, and gives a promise of the architecture's newer document. */
export function createTake(section, about, onDone) {
  const { study, formats, session } = about;
  let found = about.found;
  const path = `/studies/${encodeURIComponent(study.id)}`;
  const may = session.scopes.some((scope) => MAY_ASK.includes(scope));
  const keys = new Map(); // by what is asked for: the same key until it is known whether it was heard
  const cards = new Map(); // by id: {stamp, element}
  const said = h("p", { class: "note", role: "status" });
  const list = h("ul", { class: "jobs" });
  const none = h("p", { class: "empty", hidden: true }, "Nothing was asked of this architecture yet.");
  let timer = null;
  let jobs = [];
  let busy = false;

  const boxes = formats.map((format) => box(format, study.spec?.export?.formats ?? [MAIN]));
  const chosen = () => boxes.filter(({ input }) => input.checked).map(({ name }) => name);
  const buttons = may
    ? [
        h(
          "button",
          {
            type: "button",
            class: "button primary",
            "data-act": "export",
            onclick: () => ask({ kind: "export", point: found.digest, formats: chosen() }),
          },
          "Export",
        ),
        h(
          "button",
          {
            type: "button",
            class: "button",
            "data-act": "retrain",
            onclick: () => ask({ kind: "retrain", point: found.digest }),
          },
          "Retrain only",
        ),
      ]
    : [];
  replace(
    section,
    h(
      "p",
      {},
      "An export trains this architecture alone, unless that was done, writes it in the formats that you choose, ",
      "measures the files and verifies them. It takes minutes, and goes on without this page.",
    ),
    h(
      "fieldset",
      { class: "formats" },
      h("legend", {}, "Formats"),
      boxes.map(({ element }) => element),
    ),
    may
      ? null
      : h(
          "p",
          { class: "why" },
          "You may look and download, but not start anything: jobs need the scope submit, and this session has ",
          `${session.scopes.join(", ") || "none"}. Whoever runs the server can give you a link that has it.`,
        ),
    h(
      "div",
      { class: "toolbar" },
      buttons,
      copyButton(() => exportCommand(study.name, found.digest, chosen()), "Copy as command"),
      copyButton(() => exportPython(study.name, found.digest, chosen()), "Copy as Python"),
    ),
    said,
    none,
    list,
  );

  function box({ name, about: words }, preselected) {
    const always = name === MAIN;
    const id = `format-${name}`;
    const input = h("input", {
      type: "checkbox",
      id,
      value: name,
      disabled: always,
      "aria-describedby": `${id}-about`,
    });
    input.checked = always || preselected.includes(name);
    const element = h(
      "div",
      { class: "format" },
      h("label", { class: "check", for: id }, input, h("code", {}, name)),
      h("span", { class: "note", id: `${id}-about` }, always ? `${words} It is in every bundle.` : words),
    );
    return { name, input, element };
  }

  async function ask(body) {
    if (busy) return;
    const intention = JSON.stringify(body);
    if (!keys.has(intention)) keys.set(intention, newKey());
    busy = true;
    for (const button of buttons) button.disabled = true;
    said.textContent = "Asking.";
    try {
      const job = await post(`${path}/jobs`, body, { key: keys.get(intention) });
      keys.delete(intention);
      said.textContent = `Asked for: ${body.kind}.`;
      jobs = [...jobs.filter((each) => each.id !== job.id), job];
      draw({});
    } catch (error) {
      // Where nobody answered it may have been heard: the next try has the same key, and is carried out once.
      if (error instanceof ApiProblem) keys.delete(intention);
      said.textContent = problemWords(error);
    } finally {
      busy = false;
      for (const button of buttons) button.disabled = false;
    }
    await look();
  }

  async function cancel(job) {
    try {
      await patch(`/jobs/${job.id}`, { desired_state: "cancelled" });
      said.textContent = "Cancelled; its worker stops at the next safe point.";
    } catch (error) {
      said.textContent = problemWords(error);
    }
    await look();
  }

  function again(job) {
    const body = { kind: job.kind, point: found.digest };
    return ask(job.payload.formats ? { ...body, formats: job.payload.formats } : body);
  }

  /** Read the jobs, and what their entries need, and draw them. */
  async function look() {
    clearTimeout(timer);
    try {
      const all = (await get(`${path}/jobs`)).items;
      const before = new Map(jobs.map((job) => [job.id, job.state]));
      jobs = all.filter((job) => concerns(job, found));
      const complete = jobs.filter((job) => job.state === "complete");
      const [workers, artifacts] = await Promise.all([
        jobs.some(({ state }) => state === "queued") ? get("/workers").then(({ items }) => items) : null,
        complete.length > 0 ? get(`${path}/artifacts`).then(({ items }) => items) : [],
      ]);
      if (complete.some((job) => UNDER_WAY.includes(before.get(job.id)))) found = (await onDone()) ?? found;
      draw({ all, workers, artifacts: new Map(artifacts.map((artifact) => [artifact.id, artifact])) });
    } catch (error) {
      said.textContent = `${problemWords(error)} Looking again.`;
    }
    clearTimeout(timer);
    if (jobs.some(({ state }) => UNDER_WAY.includes(state)) || said.textContent.endsWith("Looking again."))
      timer = setTimeout(look, LOOK_MS);
  }

  function draw({ all = jobs, workers = null, artifacts = new Map() }) {
    if (said.textContent.endsWith("Looking again.")) said.textContent = "";
    none.hidden = jobs.length > 0;
    const newest = [...jobs].reverse();
    const focused = document.activeElement?.dataset?.act;
    for (const [id] of cards) if (!newest.some((job) => job.id === id)) cards.delete(id);
    const elements = newest.map((job) => {
      const ahead = all.filter((each) => UNDER_WAY.includes(each.state) && each.created_at < job.created_at).length;
      const around = { found, metrics: about.metrics, artifacts, workers, ahead, may };
      const stamp = JSON.stringify([
        job,
        workers,
        ahead,
        found.numbers,
        job.state === "complete" ? [...artifacts] : null,
      ]);
      const kept = cards.get(job.id);
      if (kept?.stamp === stamp) return kept.element;
      const element = jobCard(job, around, { cancel, again });
      cards.set(job.id, { stamp, element });
      announce(kept?.state, job);
      cards.get(job.id).state = job.state;
      return element;
    });
    replace(list, elements);
    if (focused !== undefined && document.activeElement?.dataset?.act !== focused) {
      [...section.querySelectorAll("[data-act]")].find((each) => each.dataset.act === focused)?.focus();
    }
  }

  function announce(before, job) {
    if (before !== undefined && before !== job.state) said.textContent = `${job.kind}: ${job.state}.`;
  }

  follow(study.id, (event) => {
    if (event.kind === "resync" || event.kind === "job.state") look();
  });
  return { refresh: look };
}
