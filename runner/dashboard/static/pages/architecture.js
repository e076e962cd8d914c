// The page of one architecture: drawn, with its numbers, its neighbours on the front, and the way to take it home.

import { ApiProblem, get } from "../core/api.js";
import { byId, h, replace } from "../core/dom.js";
import "../core/frame.js";
import { registerKeys } from "../core/keys.js";
import { panel } from "../core/panel.js";
import { problemBox } from "../core/problems.js";
import { drawArchitectures } from "../architecture/drawing.js";
import { legendOf } from "../architecture/legend.js";
import { neighbourList } from "../architecture/neighbours.js";
import { deviceNames, numbersTable } from "../architecture/numbers.js";
import { rowsOf } from "../architecture/outline.js";
import { standingOf } from "../architecture/standing.js";
import { createTake } from "../architecture/take.js";
import { answerTable } from "../architecture/text.js";

const { study: studyId, point } = document.body.dataset;
const studyPath = `/studies/${encodeURIComponent(studyId)}`;
const page = (digest) => `${studyPath}/architectures/${digest}`;

let reading = null; // what all panels are made of, read once and again when a job is done

/** Everything that is known: the architecture, its study, the front (null where there is none), metrics and devices. */
function readAll(signal) {
  reading ??= Promise.all([
    get(`${studyPath}/architectures/${encodeURIComponent(point)}`),
    get(studyPath),
    get(`${studyPath}/front`, { others: 0 }).catch(noFront),
    get(`${studyPath}/metrics`),
    get("/devices"),
  ]).then(([found, study, front, metrics, devices]) =>
    Object.freeze({
      found,
      study,
      front,
      metrics: metrics.items,
      provenances: metrics.provenances,
      devices: deviceNames(devices.items),
    }),
  );
  const asked = reading;
  asked.catch(() => {
    if (reading === asked) reading = null;
  });
  return signal.aborted ? Promise.reject(signal.reason) : asked;
}

function noFront(error) {
  if (error instanceof ApiProblem && error.code === "no_front") return null;
  throw error;
}

function compare(digests) {
  return `${studyPath}/compare?points=${digests.join(",")}`;
}

function drawHead({ found, study, front, metrics }) {
  document.title = `${found.digest} of ${study.name} · Supernaut`;
  replace(byId("study-link"), study.name);
  const standing = standingOf(found, front, metrics);
  const tone = standing.state === "knee" ? "" : standing.state === "front" ? "is-good" : "is-plain";
  replace(
    byId("title"),
    h("h1", {}, h("code", {}, found.digest)),
    h("span", { class: `badge ${tone}`, id: "standing" }, standing.badge),
    h(
      "div",
      { class: "toolbar end" },
      h("a", { class: "button primary", href: "#take" }, "Take it"),
      front?.knee && front.knee !== found.digest
        ? h(
            "a",
            { class: "button", id: "with-knee", href: compare([found.digest, front.knee]) },
            "Compare with the knee",
          )
        : null,
      h("a", { class: "button", href: `${studyPath}?point=${found.digest}` }, "Show on the front"),
    ),
  );
  replace(
    byId("standing-words"),
    standing.words,
    standing.by.map((digest, at) => [at === 0 ? " " : ", ", h("a", { href: page(digest) }, h("code", {}, digest))]),
    standing.by.length > 0 ? "." : "",
  );
}

function drawDrawing(body, { found }) {
  const rows = rowsOf([found]);
  const [{ element, marks }] = drawArchitectures(rows, 1, {
    label: () => `Architecture ${found.digest}; the same stands as text below it`,
  });
  element.setAttribute("aria-describedby", "as-text");
  replace(
    body,
    h(
      "div",
      { class: "drawn" },
      h("figure", { class: "tall", role: "group", "aria-label": "The drawing", tabindex: "0" }, element),
      h("div", {}, h("h3", {}, "What the drawing says"), legendOf(marks)),
    ),
    h("h3", {}, "The same as text"),
    h("pre", { id: "as-text", tabindex: "0", "aria-label": "The architecture as text" }, found.lines.join("\n")),
    h("details", {}, h("summary", {}, "As a table"), answerTable(rows, [found.digest])),
  );
}

function drawNeighbours(body, { found, front, metrics }) {
  replace(
    body,
    neighbourList(found, { front, metrics, link: page, compare: (digest) => compare([found.digest, digest]) }),
  );
}

const draws = [
  panel(byId("drawing"), { load: readAll, draw: drawDrawing }),
  panel(byId("numbers"), {
    load: readAll,
    draw: (body, all) => replace(body, ...numbersTable(all.found, all)),
    empty: ({ found }) => (found.numbers.length === 0 ? "Nothing was measured of it yet." : null),
  }),
  panel(byId("neighbours"), {
    load: readAll,
    draw: drawNeighbours,
    empty: ({ found }) => (found.neighbours.length === 0 ? "The front has no other architecture." : null),
  }),
];

async function again() {
  reading = null;
  await Promise.all(draws.map((each) => each.refresh()));
  return readAll(AbortSignal.timeout(60_000));
}

let take = null;
panel(byId("take-panel"), {
  load: async (signal) => {
    const [all, catalogue, session] = await Promise.all([
      readAll(signal),
      get("/catalogue", {}, { signal }),
      get("/session", {}, { signal }),
    ]);
    return { ...all, formats: catalogue.formats, session };
  },
  draw: (body, all) => {
    take = createTake(body, all, again);
    take.refresh();
    if (location.hash === "#take") byId("take").scrollIntoView(); // now that all above has its height
  },
}).refresh();
for (const each of draws) each.refresh();

readAll(AbortSignal.timeout(60_000))
  .then((all) => {
    drawHead(all);
    const { found, front } = all;
    const near = found.neighbours.map(({ digest }) => digest);
    const go = (digest) => {
      if (digest) location.assign(page(digest));
    };
    registerKeys([
      {
        key: "e",
        words: "take it: retrain, export, download",
        act: () => {
          location.hash = "take";
          byId("take").focus();
        },
      },
      {
        key: "c",
        words: "compare with the knee",
        act: () => {
          if (front?.knee && front.knee !== found.digest) location.assign(compare([found.digest, front.knee]));
        },
      },
      ...along(found, front, near).map(([key, words, digest]) => ({ key, words, act: () => go(digest) })),
    ]);
  })
  .catch((error) =>
    replace(
      byId("title"),
      h("h1", {}, h("code", {}, point)),
      problemBox(error, () => location.reload()),
    ),
  );

/** The arrows walk along the front, in its own order; off the front they go to the two nearest. */
function along(found, front, near) {
  const order = (front?.points ?? []).map(({ digest }) => digest);
  const at = order.indexOf(found.digest);
  const [before, after] = at < 0 ? [near[0], near[1]] : [order[at - 1], order[at + 1]];
  return [
    ["ArrowLeft", at < 0 ? "the nearest of the front" : "the one before on the front", before],
    ["ArrowRight", at < 0 ? "the second nearest of the front" : "the next on the front", after],
  ];
}
