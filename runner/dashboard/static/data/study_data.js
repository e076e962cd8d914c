// All evaluations of a study as columns, as every chart reads them.  It owns how the API's columns, front and metrics
// become rows: which are complete, which are on the front, which keep to the bounds.

import { PROVENANCES } from "../core/names.js";

/** The horizontal axis where nothing else is: how many evaluations there were up to a row. */
export const ORDER = "evaluation";
export const NO_CODE = 65_535; // of a choice that an architecture does not have
export const NO_PROVENANCE = 255;

/** The data of one study: `columns` as GET /columns gives them, `front` as GET /front (or null), `metrics` as
 *  GET /metrics (or null).  Values are in the units of the metrics. */
export function createStudyData({ columns, front = null, metrics = null }) {
  return assembled(emptyTable(), columns, front, (metrics?.items ?? []).map((item) => Object.freeze({ ...item })));
}

/** The same study with the rows of `columns` behind those it has; rows it has already are passed over. */
export function appended(data, columns) {
  return assembled(data.table, columns, data.front, data.metrics);
}

/** The same rows with another front. */
export function withFront(data, front) {
  return finished(data.table, front, data.metrics);
}

/** Whether two values of a choice are the same one; values are whatever JSON has. */
export function keyOf(value) {
  return JSON.stringify(value) ?? "null";
}

function emptyTable() {
  return { count: 0, ids: [], digests: [], states: [], fidelities: [], metrics: new Map(), choices: new Map() };
}

function assembled(before, columns, front, metrics) {
  return finished(joined(before, columns), front, metrics);
}

function joined(before, columns) {
  const last = before.count > 0 ? before.ids[before.count - 1] : -Infinity;
  const first = columns.id.findIndex((id) => id > last);
  const start = first < 0 ? columns.count : first;
  const added = columns.count - start;
  const count = before.count + added;
  const tail = (list) => (start === 0 ? list : list.slice(start));
  const table = {
    count,
    ids: before.ids.concat(tail(columns.id)),
    digests: before.digests.concat(tail(columns.digest)),
    states: before.states.concat(tail(columns.state)),
    fidelities: before.fidelities.concat(tail(columns.fidelity)),
    metrics: new Map(),
    choices: new Map(),
  };
  const provenanceOf = (columns.provenances ?? PROVENANCES).map((name) => PROVENANCES.indexOf(name));
  for (const name of new Set([...before.metrics.keys(), ...Object.keys(columns.metrics)])) {
    table.metrics.set(name, joinedMetric(before, before.metrics.get(name), columns.metrics[name], start, count,
      provenanceOf));
  }
  const choices = columns.choices ?? {};
  for (const name of new Set([...before.choices.keys(), ...Object.keys(choices)])) {
    table.choices.set(name, joinedChoice(before, before.choices.get(name), choices[name], start, count));
  }
  return table;
}

function joinedMetric(before, old, fresh, start, count, provenanceOf) {
  const values = new Float64Array(count).fill(NaN);
  const provenances = new Uint8Array(count).fill(NO_PROVENANCE);
  if (old !== undefined) {
    values.set(old.values);
    provenances.set(old.provenances);
  }
  if (fresh !== undefined) {
    for (let place = start, row = before.count; row < count; place += 1, row += 1) {
      const value = fresh.value[place];
      if (value === null || !Number.isFinite(value)) continue;
      values[row] = value;
      const known = provenanceOf[fresh.provenance?.[place] ?? -1] ?? -1;
      if (known >= 0) provenances[row] = known;
    }
  }
  return { values, provenances };
}

function joinedChoice(before, old, fresh, start, count) {
  const values = [...(old?.values ?? [])];
  const codes = new Uint16Array(count).fill(NO_CODE);
  if (old !== undefined) codes.set(old.codes);
  if (fresh !== undefined) {
    const places = new Map(values.map((value, code) => [keyOf(value), code]));
    const codeOf = fresh.values.map((value) => {
      const key = keyOf(value);
      if (!places.has(key)) places.set(key, values.push(value) - 1);
      return places.get(key);
    });
    for (let place = start, row = before.count; row < count; place += 1, row += 1) {
      const code = fresh.code[place];
      if (code !== null && codeOf[code] < NO_CODE) codes[row] = codeOf[code];
    }
  }
  return { values: Object.freeze(values), codes };
}

function finished(table, front, metrics) {
  const { count, ids } = table;
  const bounds = {};
  const goals = {};
  for (const { metric, goal, objective, at_least: atLeast = null, at_most: atMost = null } of metrics) {
    if (goal && objective !== false) goals[metric] = goal;
    if (atLeast !== null || atMost !== null) bounds[metric] = { at_least: atLeast, at_most: atMost };
  }
  const isPlain = new Uint8Array(count);
  for (let row = 0; row < count; row += 1) {
    isPlain[row] = table.states[row] === "complete" && table.fidelities[row] === "inherited" ? 1 : 0;
  }
  const isFeasible = feasible(table, bounds);
  const isFront = new Uint8Array(count);
  const intervals = new Map();
  for (const point of front?.points ?? []) {
    const row = placeOf(ids, point.evaluation_id);
    if (row < 0) continue;
    isFront[row] = 1;
    intervals.set(row, new Map(point.values.filter(({ lower, upper }) => lower !== null && upper !== null)
      .map(({ metric, lower, upper }) => [metric, [lower, upper]])));
  }
  let rows = null;
  let order = null;
  const none = { values: new Float64Array(count).fill(NaN), provenances: new Uint8Array(count).fill(NO_PROVENANCE) };

  function rowOf(digest) {
    if (rows === null) {
      rows = new Map();
      for (let row = count - 1; row >= 0; row -= 1) if (isPlain[row] === 1) rows.set(table.digests[row], row);
    }
    return rows.get(digest) ?? -1;
  }

  function metric(name) {
    const found = table.metrics.get(name);
    if (found !== undefined) return found;
    if (name !== ORDER) return none;
    order ??= { values: Float64Array.from({ length: count }, (_, row) => row + 1), provenances: none.provenances };
    return order;
  }

  const endRows = {};
  for (const [name, digest] of Object.entries(front?.ends ?? {})) {
    const row = rowOf(digest);
    if (row >= 0) endRows[name] = row;
  }
  return Object.freeze({
    table, front, metrics, count, ids, digests: table.digests, states: table.states, fidelities: table.fidelities,
    goals: Object.freeze(Object.keys(goals).length === 0 ? { ...(front?.goals ?? {}) } : goals),
    bounds: Object.freeze(bounds),
    values: (name) => metric(name).values,
    provenances: (name) => metric(name).provenances,
    choice: (name) => table.choices.get(name) ?? null,
    metricNames: Object.freeze([...table.metrics.keys()]),
    choiceNames: Object.freeze([...table.choices.keys()]),
    isFront, isFeasible, isPlain, rowOf,
    kneeRow: front?.knee ? rowOf(front.knee) : -1,
    endRows: Object.freeze(endRows),
    interval: (row, name) => intervals.get(row)?.get(name) ?? null,
  });
}

/** A row whose bounded number nobody knows does not keep to the bounds. */
function feasible(table, bounds) {
  const found = new Uint8Array(table.count).fill(1);
  for (const [name, { at_least: atLeast, at_most: atMost }] of Object.entries(bounds)) {
    const values = table.metrics.get(name)?.values;
    // A metric that was not asked for says nothing about the rows.
    if (values === undefined) continue;
    for (let row = 0; row < table.count; row += 1) {
      const value = values[row];
      if (!(value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity))) found[row] = 0;
    }
  }
  return found;
}

/** The row of an evaluation, by halves: rows are in the order of their ids. */
function placeOf(ids, id) {
  let low = 0;
  let high = ids.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (ids[middle] === id) return middle;
    if (ids[middle] < id) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
