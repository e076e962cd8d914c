// Where the data of a study's page comes from: read whole once, then only what is new, whenever something happened.

import { get } from "../core/api.js";
import { follow, onConnection } from "../core/live.js";
import { appended, createStudyData, withFront } from "../data/study_data.js";
import { columnsOfFront } from "./partial.js";

const SMALL = 5_000; // evaluations up to which every metric and choice is read at once
const PAUSE_MS = 1_000; // between two readings while much happens
const POLL_MS = 5_000; // a study in the foreground of a terminal posts few events
const MOST_NAMES = 32; // of metrics, and of choices, in one question

/** Keeps `study`, `metrics`, `session` and `data` of the store fresh.  `load()` reads everything and throws what
 *  `core/api.js` throws; `need(names)` makes sure that these metrics and choices are in the data; `onChange(listener)`
 *  tells with the kinds of events that something happened. */
export function createSource(store, study) {
  const path = `/studies/${encodeURIComponent(study)}`;
  const listeners = new Set();
  let wanted = { metrics: [], choices: [] };
  let turn = Promise.resolve(); // readings go one after the other: an older answer never takes a newer one's place
  let stageStamp = "";
  let waiting = null;
  let kinds = new Set();
  let busy = false;

  async function load() {
    const [session, detail, metrics, front] = await Promise.all([
      get("/session"), get(path), get(`${path}/metrics`), getFront(),
    ]);
    const small = detail.counts.complete + detail.counts.failed <= SMALL;
    // Objectives first, then what somebody asked for; then the others, where that is not much.
    const { x, y, colour, size } = store.get();
    const asked = [x, y, colour, size, ...wanted.metrics, ...wanted.choices];
    const all = metrics.items.map((metric) => metric.metric);
    const choices = choicesOf(front);
    wanted = {
      metrics: askable([...objectivesOf(metrics), ...asked.filter((name) => all.includes(name)), ...(small ? all : [])]),
      choices: askable([...asked.filter((name) => choices.includes(name)), ...(small ? choices : [])]),
    };
    stageStamp = stampOf(detail);
    if (!small && front !== null && store.get().data === null) {
      const first = columnsOfFront(front, wanted.metrics);
      store.set({ session, study: detail, metrics, reading: true, data: createStudyData({ columns: first, front, metrics }) });
      inTurn(() => readAll(front, metrics));
      return;
    }
    const columns = await getColumns();
    store.set({ session, study: detail, metrics, reading: false, data: createStudyData({ columns, front, metrics }) });
  }

  /** All evaluations of a large study, of which the front is shown already; tried again until it is done. */
  async function readAll(front, metrics) {
    for (;;) {
      try {
        const columns = await getColumns();
        store.set({ reading: false, data: createStudyData({ columns, front, metrics }) });
        performance.mark("complete");
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS)); // the connection's banner tells why
      }
    }
  }

  /** Brings what is not there yet.  What was asked for last comes first; what no question has room for then goes. */
  async function need(names) {
    const { data, metrics } = store.get();
    if (data === null) return;
    const known = new Set(metrics.items.map((metric) => metric.metric));
    const choices = new Set(choicesOf(data.front));
    const more = askable(names.filter((name) => known.has(name) && !wanted.metrics.includes(name)));
    const others = askable(names.filter((name) => choices.has(name) && !wanted.choices.includes(name)));
    if (more.length + others.length === 0) return;
    wanted = {
      metrics: askable([...objectivesOf(metrics), ...more, ...wanted.metrics]),
      choices: askable([...others, ...wanted.choices]),
    };
    await inTurn(async () => {
      const columns = await getColumns();
      store.set({ data: createStudyData({ columns, front: store.get().data.front, metrics }) });
    });
  }

  function inTurn(read) {
    const done = turn.then(read);
    turn = done.catch(() => {}); // whoever asked is told
    return done;
  }

  function getFront() {
    return get(`${path}/front`, { others: 0 }).catch((problem) => {
      if (problem.code === "no_front") return null;
      throw problem;
    });
  }

  function getColumns(after = null) {
    return get(`${path}/columns`, { metrics: wanted.metrics.join(","), choices: wanted.choices.join(","), after });
  }

  /** What is new since the last time.  Numbers are added to older rows when a stage ends, so then all is read anew. */
  async function readNew() {
    const detail = await get(path);
    const stamp = stampOf(detail);
    const { data } = store.get();
    if (data === null || stamp !== stageStamp || data.front === null) {
      await load();
      return;
    }
    const newest = data.count === 0 ? 0 : Math.max(data.ids[data.count - 1], 0);
    const fresh = await getColumns(newest);
    if (fresh.count === 0) {
      store.set({ study: detail });
      return;
    }
    const front = await getFront();
    store.set({ study: detail, data: withFront(appended(store.get().data, fresh), front) });
  }

  function happened(kind) {
    kinds.add(kind);
    waiting ??= setTimeout(async () => {
      waiting = null;
      if (busy) {
        happened(kind);
        return;
      }
      busy = true;
      const told = kinds;
      kinds = new Set();
      try {
        await inTurn(readNew);
        for (const listener of listeners) listener(told);
      } catch {
        // The connection's banner tells it; the next event, or the connection's return, tries again.
      } finally {
        busy = false;
      }
    }, PAUSE_MS);
  }

  function start() {
    follow(study, (event) => happened(event.kind));
    let lost = false;
    onConnection((connection) => {
      if (connection.state === "live" && lost) happened("connection");
      lost = connection.state === "lost";
    });
    setInterval(() => {
      if (!document.hidden && store.get().study?.state === "running") happened("poll");
    }, POLL_MS);
  }

  return { load, need, start, path, onChange: (listener) => listeners.add(listener) };
}

function objectivesOf(metrics) {
  return metrics.items.filter((metric) => metric.objective).map((metric) => metric.metric);
}

/** Of these names, each once, those that a list with commas can carry, as many as one question may have. */
function askable(names) {
  return [...new Set(names)].filter((name) => !name.includes(",")).slice(0, MOST_NAMES);
}

/** The names of all choices that an architecture of the front answers. */
export function choicesOf(front) {
  if (front === null) return [];
  const names = new Set(front.points.flatMap((point) => Object.keys(point.architecture)));
  return [...names].sort((a, b) => a.split(".").length - b.split(".").length || a.localeCompare(b, "en", { numeric: true }));
}

function stampOf(detail) {
  return `${detail.state} ${detail.progress?.stage ?? ""} ${detail.progress?.position ?? ""}`;
}
