// Two to four architectures beside each other: what differs, layer by layer, and what that gives.

import { ApiProblem, get } from "../core/api.js";
import { byId, h, replace } from "../core/dom.js";
import { count } from "../core/format.js";
import "../core/frame.js";
import { panel } from "../core/panel.js";
import { problemWords } from "../core/problems.js";
import { numberBars } from "../architecture/bars.js";
import { drawArchitectures } from "../architecture/drawing.js";
import { legendOf } from "../architecture/legend.js";
import { concerned, rowsOf } from "../architecture/outline.js";
import { FEWEST, listProblem, MOST, moved, readPoints } from "../architecture/points.js";
import { FIDELITIES } from "../core/names.js";
import { numbersOf } from "../architecture/standing.js";
import { answerTable } from "../architecture/text.js";

const { study: studyId } = document.body.dataset;
const studyPath = `/studies/${encodeURIComponent(studyId)}`;
const read = () => readPoints(new URLSearchParams(location.search).get("points"));
const OF_THE_LIST = ["point_not_found", "bad_request"]; // problems of one digest; others are of the whole page
const onlyDifferences = byId("only");
const known = new Map(); // documents of architectures by what was asked for

let around = null; // study, front and metrics, read once

function readAround() {
  around ??= Promise.all([
    get(studyPath),
    get(`${studyPath}/front`, { others: 0 }).catch((error) => {
      if (error instanceof ApiProblem && error.code === "no_front") return null;
      throw error;
    }),
    get(`${studyPath}/metrics`),
  ]).then(([study, front, metrics]) => ({ study, front, metrics: metrics.items }));
  around.catch(() => {
    around = null;
  });
  return around;
}

/** The architectures of the address, and in words what could not be shown. */
async function load(signal) {
  const asked = read();
  const { study, front, metrics } = await readAround();
  const problems = [listProblem(asked)].filter((each) => each !== null);
  const founds = await Promise.all(
    asked.digests.slice(0, MOST).map(async (digest) => {
      if (known.has(digest)) return known.get(digest);
      try {
        const found = await get(`${studyPath}/architectures/${digest}`, {}, { signal });
        known.set(digest, found);
        return found;
      } catch (error) {
        if (!(error instanceof ApiProblem) || !OF_THE_LIST.includes(error.code)) throw error;
        problems.push(`${digest}: ${problemWords(error)} Remove it, or add another one.`);
        return null;
      }
    }),
  );
  const unique = [
    ...new Map(founds.filter((found) => found !== null).map((found) => [found.digest, found])).values(),
  ];
  if (problems.length === 0 && unique.length < FEWEST)
    problems.push("These are one and the same architecture. Add another one.");
  return {
    study,
    front,
    metrics,
    founds: unique,
    problems,
    missing: asked.digests.slice(0, MOST).filter((_, at) => founds[at] === null),
  };
}

function write(digests) {
  const target = new URL(location.href);
  target.search = digests.length === 0 ? "" : `?points=${digests.join(",")}`;
  history.pushState(null, "", target);
  return shown.refresh();
}

function draw(body, all) {
  const { study, founds, problems } = all;
  document.title = `${count(founds.length, "architecture")} of ${study.name} · Supernaut`;
  replace(byId("study-link"), study.name);
  replace(
    byId("problems"),
    problems.map((words) => h("p", { class: "problem", role: "alert" }, words)),
  );
  drawChosen(all);
  if (founds.length < FEWEST) {
    replace(body, h("p", { class: "empty" }, "Nothing to compare yet."));
    return;
  }
  const rows = rowsOf(founds);
  const differing = rows.flatMap(({ names }) => names);
  const only = onlyDifferences.checked;
  const shownRows = only
    ? rows.filter((row) => (row.depth === 0 ? row.differing.length > 0 : concerned(row, rows)))
    : rows;
  const table = body.querySelector("details")?.open ?? false;
  const drawn = drawArchitectures(shownRows, founds.length, {
    label: (at) => `Architecture ${founds[at].digest}; the table below says the same`,
    differing: true,
  });
  const words =
    differing.length === 0
      ? "They have the same answers."
      : `${count(differing.length, "choice")} of ${count(
          rows.reduce((sum, row) => sum + namesIn(row), 0),
          "choice",
        )} differ.`;
  replace(
    body,
    h("p", { id: "how-many" }, words),
    h(
      "div",
      { class: "side-by-side", "data-count": founds.length },
      founds.map((found, at) =>
        h(
          "figure",
          { "data-digest": found.digest },
          h(
            "figcaption",
            {},
            h("a", { href: `${studyPath}/architectures/${found.digest}` }, h("code", {}, found.digest)),
            found.knee
              ? h("span", { class: "badge" }, "knee")
              : found.on_front
                ? h("span", { class: "badge is-good" }, "on the front")
                : null,
          ),
          shownRows.length > 0 ? drawn[at].element : h("p", { class: "note" }, "no difference"),
        ),
      ),
    ),
    h("h3", {}, "What the drawings say"),
    legendOf(...drawn.map(({ marks }) => marks)),
    h(
      "details",
      { open: table },
      h("summary", {}, "As a table"),
      answerTable(
        rows,
        founds.map(({ digest }) => digest),
        { differencesOnly: only },
      ),
    ),
  );
  replace(
    byId("bars"),
    numberBars(
      columnsOf(founds, (found) => numbersOf(found, all.front)),
      all.metrics,
    ),
    ["retrained", "exported"]
      .filter((fidelity) => founds.filter((found) => valuesAt(found, fidelity).size > 0).length > 1)
      .flatMap((fidelity) =>
        numberBars(
          columnsOf(founds, (found) => valuesAt(found, fidelity)),
          all.metrics,
          FIDELITIES[fidelity],
        ),
      ),
  );
}

function columnsOf(founds, values) {
  return founds.map((found) => ({ digest: found.digest, values: values(found) }));
}

function valuesAt(found, fidelity) {
  return new Map(
    found.numbers
      .filter((each) => each.fidelity === fidelity)
      .flatMap((each) => each.values)
      .map((value) => [value.metric, value]),
  );
}

function drawChosen({ founds, missing, front }) {
  const digests = [...founds.map(({ digest }) => digest)];
  const without = (digest) => digests.filter((each) => each !== digest);
  const act = (words, label, disabled, onclick) =>
    h("button", { type: "button", title: words, "aria-label": words, disabled, onclick }, label);
  const focused = byId("chosen").contains(document.activeElement)
    ? document.activeElement.getAttribute("aria-label")
    : null;
  replace(
    byId("chosen"),
    digests.map((digest, at) =>
      h(
        "li",
        { class: "chip", "data-digest": digest },
        h("code", {}, digest),
        act(`Move ${digest} to the left`, "←", at === 0, () => write(moved(digests, at, -1))),
        act(`Move ${digest} to the right`, "→", at === digests.length - 1, () => write(moved(digests, at, 1))),
        act(`Remove ${digest}`, "✕", false, () => write(without(digest))),
      ),
    ),
    missing.map((digest) =>
      h(
        "li",
        { class: "chip" },
        h("code", {}, digest),
        " not found",
        act(`Remove ${digest}`, "✕", false, () => write(digests)),
      ),
    ),
  );
  if (focused !== null) refocus(focused);
  const offered = (front?.points ?? []).map(({ digest }) => digest).filter((digest) => !digests.includes(digest));
  replace(
    byId("offered"),
    offered.map((digest) => h("option", { value: digest }, digest === front.knee ? "the knee" : "on the front")),
  );
  byId("add-one").disabled = digests.length >= MOST;
  byId("add").disabled = digests.length >= MOST;
  byId("add-hint").textContent = digests.length >= MOST ? `${MOST} at most: remove one first.` : "";
}

/** The focus stays on the button that was pressed; where that cannot be pressed again, beside it, else at the field. */
function refocus(label) {
  const found = [...byId("chosen").querySelectorAll("button")].find(
    (each) => each.getAttribute("aria-label") === label,
  );
  const near = found?.parentElement.querySelector("button:not(:disabled)");
  (found?.disabled === false ? found : (near ?? byId("add"))).focus();
}

function namesIn(row) {
  return new Set(row.cells.flatMap((cell) => (cell === null ? [] : Object.keys(cell.answers)))).size;
}

const shown = panel(byId("drawings"), { load, draw });

function add() {
  const input = byId("add");
  const text = input.value.trim();
  if (text === "") return;
  const { digests, wrong } = readPoints(text);
  input.setAttribute("aria-invalid", String(wrong.length > 0));
  byId("add-hint").textContent =
    wrong.length > 0 ? "A digest has 4 to 64 of the signs 0-9 and a-f; or write knee." : "";
  if (wrong.length > 0) return;
  input.value = "";
  write([...new Set([...read().digests, ...digests])]);
}

byId("add-one").addEventListener("click", add);
byId("add").addEventListener("keydown", (event) => {
  if (event.key === "Enter") add();
});
onlyDifferences.addEventListener("change", () => shown.refresh());
byId("print").addEventListener("click", () => print());
addEventListener("popstate", () => shown.refresh());
shown.refresh();
