"""A page of made-up data for the charts alone: the real static files under the real policy, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import runner.dashboard
from runner.service.security import PAGE_POLICY

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Route

ADDRESS = "http://charts.test/"
STATIC = Path(runner.dashboard.__file__).parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8"}
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>charts</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/static/style.css"><link rel="stylesheet" href="/static/charts.css">
<link rel="icon" href="data:,"></head><body><main id="main"><div id="stage"></div></main></body></html>"""

# `study(count, {front, hostile})` as the API's documents would give it: error against latency, with weights in bytes.
MADE = """
import { createStudyData } from "/static/data/study_data.js";

const HOSTILE = "<img src=x onerror=alert(1)><b>bold</b>";

export function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

export function documents(count, { seed = 7, hostile = false, bounded = true, first = 0 } = {}) {
  const next = random(seed + first);
  const [error, latency, weights] = [[], [], []];
  const [provenance, code, depth] = [[], [], []];
  for (let row = 0; row < count; row += 1) {
    const effort = next() ** 0.7;
    latency.push(0.4 * 10 ** (1.6 * effort) * (1 + 0.25 * next()));
    error.push(0.04 + 0.18 * (1 - effort) ** 2 + 0.09 * next() * next() + 0.02 * next());
    weights.push(Math.round(2e5 * 10 ** (1.5 * effort) * (0.8 + 0.4 * next())));
    provenance.push(row % 3 === 0 ? 0 : 1);
    code.push(Math.min(Math.floor(effort * 2 + next() * 2), 3));
    depth.push(Math.floor(next() * 5));
  }
  const digest = Array.from({ length: count }, (_, row) => (0x10000000 + first + row).toString(16) + "abcd");
  const columns = {
    count, digest, id: Array.from({ length: count }, (_, row) => first + row + 1),
    state: Array.from({ length: count }, (_, row) => (row % 50 === 49 ? "failed" : "complete")),
    fidelity: Array(count).fill("inherited"),
    provenances: ["predicted", "computed", "inherited", "retrained", "exported"],
    metrics: {
      error: { value: error, provenance: error.map(() => 2) },
      latency: { value: latency, provenance },
      weights: { value: weights, provenance: weights.map(() => 1) },
    },
    choices: {
      attention: { values: [hostile ? HOSTILE : "softmax", "linear", "sliding window", "none"], code },
      depth: { values: [2, 4, 6, 8, 12], code: depth },
    },
  };
  columns.state.forEach((state, row) => {
    if (state !== "failed") return;
    for (const each of Object.values(columns.metrics)) each.value[row] = each.provenance[row] = null;
  });
  const metrics = { items: [
    { metric: "error", label: hostile ? HOSTILE : "test error", unit: "fraction", goal: "minimize", objective: true,
      at_least: null, at_most: bounded ? 0.25 : null, computed: false },
    { metric: "latency", label: "latency on a phone", unit: "ms", goal: "minimize", objective: true, at_least: null,
      at_most: null, computed: false },
    { metric: "weights", label: "weights", unit: "bytes", goal: "minimize", objective: false, at_least: null,
      at_most: null, computed: true },
  ], provenances: [] };
  return { columns, metrics, front: frontOf(columns, bounded ? 0.25 : 1) };
}

function frontOf({ count, id, digest, metrics: { error, latency } }, most) {
  const rows = Array.from({ length: count }, (_, row) => row).filter((row) => error.value[row] !== null
    && error.value[row] <= most).sort((a, b) => latency.value[a] - latency.value[b]);
  const kept = [];
  for (const row of rows) if (kept.length === 0 || error.value[row] < error.value[kept.at(-1)]) kept.push(row);
  const points = kept.map((row) => ({ digest: digest[row], evaluation_id: id[row], architecture: {}, later: {},
    values: [
    { metric: "error", value: error.value[row], lower: error.value[row] - 0.004, upper: error.value[row] + 0.004,
      provenance: "inherited" },
    { metric: "latency", value: latency.value[row], provenance: "computed",
      lower: row % 3 === 0 ? latency.value[row] * 0.93 : null,
      upper: row % 3 === 0 ? latency.value[row] * 1.08 : null },
  ] }));
  return { goals: { error: "minimize", latency: "minimize" }, evaluated: count, points, others: [], left_out: 0,
    knee: kept.length > 0 ? digest[kept[Math.floor(kept.length / 2)]] : null,
    ends: kept.length > 0 ? { error: digest[kept.at(-1)], latency: digest[kept[0]] } : {} };
}

export function study(count, options = {}) {
  return createStudyData(documents(count, options));
}

export function view(data, more = {}) {
  const found = new Map(data.metrics.map((item) => [item.metric, item]));
  return { data, x: "latency", y: "error", colour: null, size: null, logX: false, logY: false, mask: null, focusRow: -1,
    pickedRows: [], showDominated: true, label: (name) => found.get(name)?.label ?? name,
    unit: (name) => found.get(name)?.unit ?? "", goals: data.goals, bounds: data.bounds, ...more };
}
"""


def serve_charts(context: BrowserContext) -> None:
    """Answer everything at `ADDRESS`; anything else fails, so that a chart that calls out is seen."""

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        headers = {"Content-Security-Policy": PAGE_POLICY}
        if not route.request.url.startswith(ADDRESS):
            route.abort()
        elif path == "/":
            route.fulfill(body=PAGE, headers={**headers, "Content-Type": TYPES[".html"]})
        elif path == "/made.js":
            route.fulfill(body=MADE, headers={**headers, "Content-Type": TYPES[".js"]})
        else:
            file = STATIC / path.removeprefix("/static/")
            route.fulfill(body=file.read_bytes(), headers={**headers, "Content-Type": TYPES[file.suffix]})

    context.route("**/*", answer)
