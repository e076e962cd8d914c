// One job as an entry of a list: what it does, how far it is, and what came out of it.

import { copyButton } from "../core/copying.js";
import { h } from "../core/dom.js";
import { age, quantity } from "../core/format.js";
import { checkList } from "./checks.js";
import { jobName, progressOf, UNDER_WAY } from "./jobs.js";
import { FIDELITIES } from "../core/names.js";
import { archiveName, runPython, unpackCommands } from "./snippets.js";
import { intervalText } from "./words.js";

/** The entry of a job.  `about`: {found (the architecture's document), metrics, artifacts (by id), workers, ahead, may
 *  (whether one may change anything)}; `acts`: cancel(job), again(job). */
export function jobCard(job, about, acts) {
  return h(
    "li",
    { "data-job": job.id, "data-state": job.state },
    h(
      "div",
      { class: "title" },
      h("strong", {}, jobName(job)),
      h("span", { class: `state is-${job.state}` }, job.state),
      h(
        "time",
        { class: "note", datetime: job.created_at, title: job.created_at },
        `asked for ${age(job.created_at)}`,
      ),
      about.may && UNDER_WAY.includes(job.state)
        ? h(
            "button",
            {
              type: "button",
              class: "button small end",
              "data-act": `cancel ${job.id}`,
              onclick: () => acts.cancel(job),
            },
            "Cancel",
          )
        : null,
    ),
    progress(job, about),
    ended(job, about, acts),
    job.state === "complete" ? outcome(job, about) : null,
  );
}

function progress(job, about) {
  if (!UNDER_WAY.includes(job.state)) return null;
  const { part, words } = progressOf(job, about);
  return h(
    "div",
    { class: "progress" },
    part === null
      ? null
      : h("progress", {
          value: part.done,
          max: part.total,
          "aria-label": `${jobName(job)}: ${part.done} of ${part.total}`,
        }),
    h("p", { class: "note" }, words),
  );
}

function ended(job, { may }, acts) {
  if (job.state !== "failed" && job.state !== "cancelled") return null;
  const words =
    job.state === "failed"
      ? ["It failed: ", job.reason ?? "without a reason", "."]
      : ["It was cancelled", job.reason ? `: ${job.reason}.` : "."];
  return h(
    "div",
    { class: job.state === "failed" ? "problem" : "why" },
    h("p", {}, ...words),
    may
      ? h(
          "button",
          { type: "button", class: "button", "data-act": `again ${job.id}`, onclick: () => acts.again(job) },
          "Try again",
        )
      : null,
  );
}

function outcome(job, { found, metrics, artifacts }) {
  if (job.kind === "retrain") {
    return [
      h("p", {}, "Retrained. Its numbers after training alone are in the table; to get the files, export it."),
      reached(found, metrics, "retrained"),
    ];
  }
  const id = job.result?.bundles?.[found.digest];
  const checks = job.result?.checks?.[found.digest];
  return [
    reached(found, metrics, "exported"),
    id === undefined
      ? h("p", { class: "problem" }, "This export names no bundle of this architecture; export it again.")
      : download(id, artifacts.get(id)),
    checks === undefined
      ? h("p", { class: "note" }, "This export was not verified when it was written: `supernaut verify` does it.")
      : checkList(checks),
    id === undefined || !artifacts.has(id) ? null : next(artifacts.get(id)),
  ];
}

/** What the model reached, in one line of facts. */
function reached(found, metrics, fidelity) {
  const values = found.numbers.filter((each) => each.fidelity === fidelity).flatMap((each) => each.values);
  if (values.length === 0) return null;
  const known = new Map(metrics.map((metric) => [metric.metric, metric]));
  return h(
    "dl",
    { class: "facts", "aria-label": `Numbers of the ${FIDELITIES[fidelity]}` },
    values.map((value) => {
      const unit = known.get(value.metric)?.unit ?? "";
      const interval = intervalText(value, unit);
      return h(
        "div",
        {},
        h("dt", {}, known.get(value.metric)?.label ?? value.metric),
        h(
          "dd",
          {},
          quantity(value.value, unit),
          interval === null ? null : h("span", { class: "note" }, `90 % interval ${interval}`),
        ),
      );
    }),
  );
}

function download(id, artifact) {
  return h(
    "p",
    { class: "download" },
    h(
      "a",
      {
        class: "button primary",
        href: `/api/v1/artifacts/${id}`,
        download: artifact === undefined ? true : archiveName(artifact.sha256),
      },
      artifact === undefined ? "Download the bundle" : `Download the bundle, ${quantity(artifact.bytes, "bytes")}`,
    ),
    artifact === undefined
      ? null
      : h("span", { class: "note" }, "SHA-256 ", h("code", { class: "sha" }, artifact.sha256)),
  );
}

function next({ sha256 }) {
  return h(
    "details",
    { class: "next", open: true },
    h("summary", {}, "What to do next"),
    snippet("Unpack it, and look whether it is whole", unpackCommands(sha256)),
    snippet("Run it: this needs NumPy and ONNX Runtime alone", runPython()),
  );
}

/** A text to be copied, with its purpose above it. */
export function snippet(purpose, text) {
  return h(
    "div",
    { class: "snippet" },
    h("div", { class: "snippet-head" }, h("span", {}, purpose), copyButton(text)),
    h("pre", { tabindex: "0", "aria-label": purpose }, h("code", {}, text)),
  );
}
