// Which rows the table shows, and in which order: of the data, the selection, and how it is sorted.

import { NO_CODE } from "../data/study_data.js";

/** Row numbers for a sort such as "-latency_ms" or "digest": those of `mask`, of the front alone if asked; rows without
 *  the number come last in both directions. */
export function orderedRows(data, mask, sort, onlyFront) {
  const rows = [];
  for (let row = 0; row < data.count; row += 1) {
    if ((mask === null || mask[row]) && (!onlyFront || data.isFront[row])) rows.push(row);
  }
  const descending = sort.startsWith("-");
  const name = descending ? sort.slice(1) : sort;
  const sign = descending ? -1 : 1;
  const found = keys(data, name);
  if (found === null) return Uint32Array.from(rows);
  rows.sort((a, b) => {
    const [first, second] = [found[a], found[b]];
    const [none, other] = [isNone(first), isNone(second)];
    if (none || other) return none === other ? a - b : none ? 1 : -1;
    return first < second ? -sign : first > second ? sign : a - b;
  });
  return Uint32Array.from(rows);
}

/** What one cell says, as plain text with no unit: for files. */
export function plainCell(data, row, name) {
  if (name === "digest") return data.digests[row];
  if (name === "state") return data.states[row];
  if (name === "fidelity") return data.fidelities[row];
  if (data.metricNames.includes(name)) {
    const value = data.values(name)[row];
    return Number.isNaN(value) ? "" : String(value);
  }
  const choice = data.choice(name);
  const code = choice?.codes[row] ?? NO_CODE;
  return code === NO_CODE ? "" : String(choice.values[code]);
}

/** Rows as comma-separated values.  A text that a spreadsheet would take for a formula gets an apostrophe before it. */
export function csv(data, rows, names) {
  const quoted = (text) => {
    const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = [names.map(quoted).join(",")];
  for (const row of rows) lines.push(names.map((name) => quoted(plainCell(data, row, name))).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function keys(data, name) {
  if (name === "digest") return data.digests;
  if (name === "state") return data.states;
  if (name === "fidelity") return data.fidelities;
  if (data.metricNames.includes(name)) return data.values(name);
  const choice = data.choice(name);
  if (choice === null) return null;
  return Array.from(choice.codes, (code) => (code === NO_CODE ? null : choice.values[code]));
}

function isNone(value) {
  return value === null || Number.isNaN(value);
}
