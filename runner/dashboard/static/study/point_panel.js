// The architecture that is looked at: in short, with its numbers, and the ways on.

import { ApiProblem, get } from "../core/api.js";
import { byId, h, replace } from "../core/dom.js";
import { quantity } from "../core/format.js";
import { FIDELITIES } from "../core/names.js";
import { shownPoint, toggled } from "./state.js";

const SHOWN_LINES = 14;

/** Follow `point` of the store. */
export function createPointPanel(store, naming) {
  const body = byId("point");
  const study = encodeURIComponent(document.body.dataset.study);
  let asked = null;

  async function show(state) {
    asked?.abort();
    const point = shownPoint(state);
    if (point === null) {
      replace(body, h("p", { class: "empty" }, "The first points appear with the first evaluations; choose one, and here is what it is."));
      return;
    }
    asked = new AbortController();
    const { signal } = asked;
    body.setAttribute("aria-busy", "true");
    try {
      const found = await get(`/studies/${study}/architectures/${point}`, {}, { signal });
      if (!signal.aborted) replace(body, ...drawn(found));
    } catch (error) {
      if (signal.aborted) return;
      replace(body, h("p", { class: "problem", role: "alert" }, error instanceof ApiProblem && error.code === "point_not_found"
        ? `No evaluated architecture of this study begins with ${point}.` : error.message),
      h("button", { type: "button", class: "button", onclick: () => show(store.get()) }, "Try again"));
    } finally {
      if (!signal.aborted) body.removeAttribute("aria-busy");
    }
  }

  function drawn(found) {
    const link = `/studies/${study}/architectures/${found.digest}`;
    const lines = found.lines.slice(0, SHOWN_LINES);
    return [
      h("div", { class: "title" }, h("h3", {}, h("code", {}, found.digest)), place(found)),
      h("pre", { tabindex: "0", role: "region", "aria-label": "The architecture, layer by layer" },
        lines.join("\n"), found.lines.length > lines.length ? `\n… ${found.lines.length - lines.length} more lines` : ""),
      numbers(found),
      h("div", { class: "toolbar" },
        h("a", { class: "button primary", href: `${link}#take` }, "Take it"),
        h("a", { class: "button", href: link }, "Open"),
        h("button", {
          type: "button", class: "button", "aria-pressed": String(store.get().picked.includes(found.digest)),
          onclick: () => store.set({ picked: toggled(store.get().picked, found.digest) }),
        }, store.get().picked.includes(found.digest) ? "In the comparison" : "Compare")),
    ];
  }

  /** Metrics down, fidelities across: the objectives, and what else there is behind a click. */
  function numbers(found) {
    const fidelities = Object.entries(FIDELITIES).filter(([name]) => found.numbers.some((each) => each.fidelity === name));
    const metrics = [...new Set(found.numbers.flatMap((each) => each.values.map((value) => value.metric)))];
    const objectives = naming.objectives.filter((name) => metrics.includes(name));
    const others = metrics.filter((name) => !objectives.includes(name));
    const failed = found.numbers.filter((each) => each.failure !== null);
    return [
      table(found, fidelities, objectives),
      others.length > 0 && h("details", {}, h("summary", {}, `${others.length} other numbers`), table(found, fidelities, others)),
      failed.map((each) => h("p", { class: "why" }, `${each.fidelity}: failed: ${each.failure.kind}: ${each.failure.message}`)),
    ];
  }

  function table(found, fidelities, metrics) {
    return h("table", { class: "data point-numbers" },
      h("caption", { class: "sr-only" }, `Numbers of ${found.digest}`),
      h("thead", {}, h("tr", {}, h("td"), fidelities.map(([, words]) => h("th", { scope: "col", class: "number" }, words)))),
      h("tbody", {}, metrics.map((metric) => h("tr", {}, h("th", { scope: "row" }, naming.label(metric)),
        fidelities.map(([fidelity]) => cell(found, fidelity, metric))))));
  }

  function cell(found, fidelity, metric) {
    const value = found.numbers.filter((each) => each.fidelity === fidelity)
      .flatMap((each) => each.values).find((each) => each.metric === metric);
    if (value === undefined) return h("td", { class: "number" }, h("span", { class: "note" }, "–"));
    const unit = naming.unit(metric);
    const own = value.provenance === fidelity ? null
      : h("span", { class: "note", title: naming.meaning(value.provenance) }, value.provenance);
    const interval = value.lower === null || value.upper === null ? null
      : h("span", { class: "note" }, `${quantity(value.lower, unit)} to ${quantity(value.upper, unit)}`);
    return h("td", { class: "number" }, quantity(value.value, unit), own, interval);
  }

  let shown = null; // what the data said of the point when it was drawn
  store.subscribe(["point", "picked", "data"], (state, changed) => {
    const point = shownPoint(state);
    const now = point === null || state.data === null ? null : fingerprint(state.data, point);
    if (changed.includes("data") && changed.length === 1 && now === shown) return;
    shown = now;
    show(state);
  });
  show(store.get());
}

/** Changes when a row of this digest is added, or it enters or leaves the front. */
function fingerprint(data, digest) {
  const row = data.rowOf(digest);
  const rows = data.digests.reduce((sum, each) => sum + (each === digest ? 1 : 0), 0);
  return `${digest} ${rows} ${row >= 0 && data.isFront[row]} ${row === data.kneeRow}`;
}

function place(found) {
  if (found.knee) return h("span", { class: "badge" }, "knee of the front");
  return h("span", { class: "badge" }, found.on_front ? "on the front" : "off the front");
}
