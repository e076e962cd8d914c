// Taking an architecture home: asking for jobs, following them, and what they leave.  Jobs are found again by asking
// the server, so that nothing is lost with a page or a connection.

import { ApiProblem, get, newKey, patch, post } from "../core/api.js";
import { copyButton } from "../core/copying.js";
import { h, replace } from "../core/dom.js";
import { follow } from "../core/live.js";
import { problemWords } from "../core/problems.js";
import { maySubmit } from "../core/rights.js";
import { jobCard } from "./job_card.js";
import { concerns, UNDER_WAY } from "./jobs.js";
import { exportCommand, exportPython } from "./snippets.js";

const LOOK_MS = 2_000; // between two looks at a job that runs: its progress makes no event
const MAIN = "onnx"; // every bundle has it

/** Fill `section` for an architecture.  `about`: {found, study, metrics (items), formats (of the catalogue), session};
 *  `onDone()` is called when a job has left new numbers, and gives a promise of {found, metrics} as they are then. */
export function createTake(section, about, onDone) {
  const { study, formats, session } = about;
  let { found, metrics } = about;
  const path = `/studies/${encodeURIComponent(study.id)}`;
  const may = maySubmit(session);
  const keys = new Map(); // by what is asked for: the same key until it is known whether it was heard
  const cards = new Map(); // by id: {stamp, element, state}
  const said = h("p", { class: "note", role: "status" });
  const list = h("ul", { class: "jobs" });
  const none = h("p", { class: "empty", hidden: true }, "Nothing was asked of this architecture yet.");
  const trouble = h("div", { role: "status" });
  let timer = null;
  let all = []; // jobs of the study
  let workers = null;
  let artifacts = new Map(); // by id
  let busy = false;
  let looking = false;
  let lookAgain = false;

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
    trouble,
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
    setBusy(true);
    try {
      const job = await post(`${path}/jobs`, body, { key: keys.get(intention) });
      keys.delete(intention);
      said.textContent = `Asked for: ${body.kind}.`;
      all = [...all.filter((each) => each.id !== job.id), job];
      draw();
    } catch (error) {
      // Where nobody answered it may have been heard: the next try has the same key, and is carried out once.
      if (error instanceof ApiProblem) keys.delete(intention);
      said.textContent = problemWords(error);
    } finally {
      setBusy(false);
    }
    look();
  }

  function setBusy(now) {
    busy = now;
    // Unlike a disabled button, one that says so keeps the focus.
    for (const button of buttons) button.setAttribute("aria-disabled", String(now));
  }

  async function cancel(job) {
    try {
      await patch(`/jobs/${job.id}`, { desired_state: "cancelled" });
      said.textContent = "Cancelled; its worker stops at the next safe point.";
    } catch (error) {
      said.textContent = problemWords(error);
    }
    look();
  }

  function again(job) {
    const body = { kind: job.kind, point: found.digest };
    return ask(job.payload.formats ? { ...body, formats: job.payload.formats } : body);
  }

  /** Read the jobs and what their entries need, and draw them; once more where that is asked for meanwhile. */
  async function look() {
    if (looking) {
      lookAgain = true;
      return;
    }
    looking = true;
    clearTimeout(timer);
    let lost = false;
    do {
      lookAgain = false;
      try {
        await read();
        lost = false;
        replace(trouble);
        draw();
      } catch (error) {
        lost = true;
        replace(
          trouble,
          h("p", { class: "why" }, `${problemWords(error)} What stands below is older; looking again.`),
        );
      }
    } while (lookAgain);
    looking = false;
    if (lost || own().some(({ state }) => UNDER_WAY.includes(state))) timer = setTimeout(look, LOOK_MS);
  }

  async function read() {
    const before = new Map(all.map((job) => [job.id, job.state]));
    const { items } = await get(`${path}/jobs`);
    const mine = items.filter((job) => concerns(job, found));
    const complete = mine.filter((job) => job.state === "complete");
    const [newWorkers, newArtifacts] = await Promise.all([
      mine.some(({ state }) => state === "queued") ? get("/workers") : null,
      complete.length > 0 ? get(`${path}/artifacts`) : null,
    ]);
    if (complete.some((job) => UNDER_WAY.includes(before.get(job.id)))) ({ found, metrics } = await onDone());
    all = items;
    workers = newWorkers?.items ?? null;
    artifacts = new Map((newArtifacts?.items ?? []).map((artifact) => [artifact.id, artifact]));
  }

  function own() {
    return all.filter((job) => concerns(job, found));
  }

  function draw() {
    const newest = own().reverse();
    none.hidden = newest.length > 0;
    const focused = document.activeElement?.dataset?.act;
    const shown = new Set(newest.map(({ id }) => id));
    for (const id of cards.keys()) if (!shown.has(id)) cards.delete(id);
    replace(list, newest.map(entry));
    if (focused !== undefined && document.activeElement?.dataset?.act !== focused) {
      [...section.querySelectorAll("[data-act]")].find((each) => each.dataset.act === focused)?.focus();
    }
  }

  /** The entry of a job: the one that is there, as long as it says the same. */
  function entry(job) {
    const waits = job.state === "queued";
    const ahead = all.filter((each) => UNDER_WAY.includes(each.state) && each.created_at < job.created_at).length;
    const around = { found, metrics, artifacts, workers, ahead, may };
    const done = job.state === "complete" ? [found.numbers, [...artifacts]] : null;
    const stamp = JSON.stringify([job, waits ? [workers, ahead] : null, done]);
    const kept = cards.get(job.id);
    if (kept?.stamp === stamp) return kept.element;
    if (kept !== undefined && kept.state !== job.state) said.textContent = `${job.kind}: ${job.state}.`;
    const element = jobCard(job, around, { cancel, again });
    cards.set(job.id, { stamp, element, state: job.state });
    return element;
  }

  follow(study.id, (event) => {
    if (event.kind === "resync" || event.kind === "job.state") look();
  });
  return { refresh: look };
}
