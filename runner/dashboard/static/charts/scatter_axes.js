// What stands around and over the marks of a scatter, in SVG: grid, ticks, titles, bounds, and the points with names.

import { svg } from "../core/dom.js";
import { quantity } from "../core/format.js";
import { ORDER } from "../data/study_data.js";
import { axisTicks, tickWords } from "./scales.js";

const LETTER = 6.6; // pixels, of the 12 px type, on average
const LINE = 16;
const BETTER = {
  x: { minimize: "← better", maximize: "better →" }, y: { minimize: "↓ better", maximize: "↑ better" },
};

/** What an axis is called, and which way is better. */
export function axisTitle(view, name, goal, unit) {
  if (name === ORDER) return { words: "evaluations in the order of the record", better: () => "" };
  return {
    words: `${view.label(name)}${unit ? ` (${unit})` : ""}`,
    better: (axis) => (goal === null ? "" : BETTER[axis][goal]),
  };
}

/** The grid under the marks. */
export function gridLines(view, scaleX, scaleY, box) {
  const lines = [];
  for (const { at } of axisTicks(scaleX, view.unit(view.x), box.ticks[0])[0]) {
    const x = Math.round(box.left + scaleX.place(at)) + 0.5;
    lines.push(svg("line", { class: "chart-grid", x1: x, x2: x, y1: box.top, y2: box.top + box.height }));
  }
  for (const { at } of axisTicks(scaleY, view.unit(view.y), box.ticks[1])[0]) {
    const y = Math.round(box.top + scaleY.place(at)) + 0.5;
    lines.push(svg("line", { class: "chart-grid", x1: box.left, x2: box.left + box.width, y1: y, y2: y }));
  }
  return lines;
}

/** Ticks, titles and frame. */
export function axisWords(view, scene, scaleX, scaleY, box) {
  const [right, foot] = [box.left + box.width, box.top + box.height];
  const found = [svg("path", { class: "chart-frame", d: `M${box.left} ${box.top}V${foot}H${right}` })];
  const [across, up] = [scaleX, scaleY].map((scale, place) => {
    const [marks, factor, unit] = axisTicks(scale, view.unit([view.x, view.y][place]), box.ticks[place]);
    return { marks, words: tickWords(marks, factor), unit };
  });
  let taken = -Infinity;
  across.marks.forEach(({ at }, place) => {
    const words = across.words[place];
    const half = (words.length * LETTER) / 2;
    const x = Math.min(Math.max(box.left + scaleX.place(at), half + 2), box.full[0] - half - 2);
    if (x - half < taken + 6) return;
    taken = x + half;
    found.push(svg("text", { x, y: foot + 17, "text-anchor": "middle" }, words));
  });
  up.marks.forEach(({ at }, place) => {
    const y = box.top + scaleY.place(at) + 4;
    found.push(svg("text", { x: box.left - 7, y, "text-anchor": "end" }, up.words[place]));
  });
  const [titleX, titleY] = [axisTitle(view, view.x, scene.goals.x, across.unit),
    axisTitle(view, view.y, scene.goals.y, up.unit)];
  const betterX = titleX.better("x");
  const betterY = titleY.better("y");
  const room = box.full[0] - box.left - 8;
  found.push(
    svg("text", { class: "chart-title", x: right, y: foot + 36, "text-anchor": "end" },
      shortened(titleX.words, room - (betterX.length + 3) * LETTER), better(betterX)),
    svg("text", { class: "chart-title", x: 10, y: 17 },
      shortened(titleY.words, box.full[0] - 20 - (betterY.length + 3) * LETTER), better(betterY)),
  );
  return found;
}

function better(words) {
  return words === "" ? null : svg("tspan", { class: "is-better", dx: 10, "font-weight": 400 }, words);
}

/** The bounds as lines with words; `bounds` {metric: {at_least, at_most}}. */
export function boundLines(view, scaleX, scaleY, box) {
  const found = [];
  for (const [axis, name, scale] of [["x", view.x, scaleX], ["y", view.y, scaleY]]) {
    const bound = view.bounds?.[name] ?? {};
    for (const [side, sign] of [["at_least", "at least"], ["at_most", "at most"]]) {
      const value = bound[side];
      if (value === null || value === undefined || (scale.log && value <= 0)) continue;
      const at = scale.of(value);
      if (!(at >= 0 && at <= (axis === "x" ? box.width : box.height))) continue;
      const words = `${sign} ${quantity(value, view.unit(name) ?? "")}`;
      const room = words.length * LETTER;
      if (axis === "x") {
        const x = box.left + at;
        const turns = at + room + 8 > box.width;
        found.push(svg("line", { class: "chart-bound", x1: x, x2: x, y1: box.top, y2: box.top + box.height }),
          svg("text", { class: "is-bound chart-halo", x: x + (turns ? -5 : 5), y: box.top + box.height - 8,
            "text-anchor": turns ? "end" : "start" }, words));
      } else {
        const y = box.top + at;
        found.push(svg("line", { class: "chart-bound", x1: box.left, x2: box.left + box.width, y1: y, y2: y }),
          svg("text", { class: "is-bound chart-halo", x: box.left + box.width - 6, y: y + (at > 20 ? -6 : 15),
            "text-anchor": "end" }, words));
      }
    }
  }
  return found;
}

/** The knee and the ends of the front, with words beside them where there is room. */
export function namedPoints(view, places, radius, box) {
  const { data } = view;
  const named = new Map();
  const add = (row, words, kind) => {
    if (row < 0 || row === undefined || places(row) === null) return;
    const entry = named.get(row) ?? { words: [], kind };
    entry.words.push(words);
    named.set(row, entry);
  };
  add(data.kneeRow, "knee", "is-knee");
  for (const [name, row] of Object.entries(data.endRows)) add(row, `best ${view.label(name)}`, "is-end");
  for (const { row, words } of view.marks ?? []) add(row, words, "is-end");
  const [taken, found] = [[], []];
  for (const row of named.keys()) {
    const [x, y] = places(row);
    taken.push([x - radius, y - radius, x + radius, y + radius]);
  }
  for (const [row, { words, kind }] of named) {
    const [x, y] = places(row);
    if (kind === "is-knee") found.push(svg("circle", { class: "chart-ring", cx: x, cy: y, r: radius + 4 }));
    const label = shortened(words.join(", "), Math.min(box.width * 0.6, 260));
    const spot = freeSpot(x, y, label.length * LETTER, radius + 7, taken, box);
    if (spot === null) continue;
    taken.push(spot.area);
    found.push(svg("text", { class: `${kind} chart-halo`, x: spot.x, y: spot.y, "text-anchor": spot.anchor }, label));
  }
  return found;
}

/** These words, or as many of their letters as fit into `room` pixels. */
export function shortened(words, room) {
  const most = Math.max(Math.floor(room / LETTER), 4);
  return words.length <= most ? words : `${words.slice(0, most - 1)}…`;
}

function freeSpot(x, y, width, gap, taken, box) {
  const [left, right, top, foot] = [box.left + 2, box.left + box.width - 2, box.top + 2, box.top + box.height - 2];
  const spots = [[x + gap, y + 4, "start"], [x - gap, y + 4, "end"], [x, y - gap, "middle"], [x, y + gap + 8, "middle"],
    [x + gap, y - gap, "start"], [x + gap, y + gap + 8, "start"], [x - gap, y - gap, "end"],
    [x - gap, y + gap + 8, "end"], [x + gap, y - gap - LINE, "start"], [x + gap, y + gap + 8 + LINE, "start"]];
  for (const [at, line, anchor] of spots) {
    const start = anchor === "start" ? at : anchor === "end" ? at - width : at - width / 2;
    const area = [start, line - 11, start + width, line + 4];
    if (area[0] < left || area[2] > right || area[1] < top || area[3] > foot) continue;
    if (taken.every((other) => area[2] < other[0] || area[0] > other[2] || area[3] < other[1] || area[1] > other[3])) {
      return { x: at, y: line, anchor, area };
    }
  }
  return null;
}
