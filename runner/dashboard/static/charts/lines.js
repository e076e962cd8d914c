// Courses: a number over steps, evaluations or time, one line each, told apart by dashes and by words at their ends.

import { h, svg } from "../core/dom.js";
import { count, quantity } from "../core/format.js";
import { createDrawing, plane } from "./plane.js";
import { extent, padded } from "./scales.js";

const HEIGHT = 250;
const STYLES = [["is-first", "none"], ["is-second", "7 4"], ["is-third", "2 3"], ["is-fourth", "9 3 2 3"]];
const LETTER = 6.8;
const LINE = 15;

/** Lines in `host`.  Returns {update(view), destroy()}; a view has series [{name, x: [..], y: [..]}] (null where there
 *  is no number), xLabel, yLabel, xUnit, yUnit, note. */
export function createLines(host) {
  let view = null;
  const drawing = createDrawing(host, draw);
  const note = h("p", { class: "chart-note" });
  drawing.root.append(note);

  function update(next) {
    view = next;
    note.textContent = view.note ?? "";
    drawing.ask();
  }

  function draw(width) {
    const series = (view?.series ?? []).map((each) => ({ ...each, points: pointsOf(each) }))
      .filter(({ points }) => points.length > 0);
    if (series.length === 0) return h("p", { class: "chart-empty" }, "No number yet.");
    const ends = (axis) => extent(series.flatMap(({ points }) => points.map((point) => point[axis])));
    const longest = Math.max(...series.map(({ name }) => name.length));
    const room = series.length > 1 ? Math.min(longest * LETTER + 10, width * 0.3) : 0;
    const [wide, high] = [ends(0), ends(1)];
    const at = plane(width, HEIGHT, { domain: wide[0] === wide[1] ? padded(wide) : wide, label: view.xLabel,
      unit: view.xUnit }, { domain: padded(high, 0.08), label: view.yLabel, unit: view.yUnit }, { room });
    const words = `${view.yLabel} over ${view.xLabel}. ${series.map((each) => inWords(each, view)).join(" ")}`;
    return svg("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": words },
      at.parts, series.map((each, place) => course(each, place, at)),
      series.length > 1 ? endWords(series, at, room) : null);
  }

  return { update, destroy: drawing.destroy };
}

/** The last numbers of something as a line no larger than a word, with a title that says where they begin and end. */
export function sparkline(values, { width = 96, height = 24, unit = "" } = {}) {
  const known = values.map((value, place) => [place, value]).filter(([, value]) => Number.isFinite(value));
  if (known.length === 0) {
    return svg("svg", { width, height, role: "img", class: "chart-spark" }, svg("title", {}, "no number yet"));
  }
  const [low, high] = extent(known.map(([, value]) => value));
  const last = Math.max(values.length - 1, 1);
  const at = ([place, value]) =>
    [2 + (place / last) * (width - 6), height - 3 - ((value - low) / (high - low || 1)) * (height - 6)];
  const words = `from ${quantity(known[0][1], unit)} to ${quantity(known.at(-1)[1], unit)}, `
    + count(known.length, "number");
  const [endX, endY] = at(known.at(-1));
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", class: "chart-spark" },
    svg("title", {}, words), svg("path", { class: "chart-course", d: pathOf(known.map(at)) }),
    svg("circle", { class: "chart-dot", cx: endX, cy: endY, r: 2.25 }));
}

function pointsOf({ x, y }) {
  return y.map((value, place) => [x[place], value]).filter((point) => point.every(Number.isFinite));
}

function course({ points }, place, at) {
  const [kind, dashes] = STYLES[place % STYLES.length];
  const spots = points.map(([x, y]) => [at.x.place(x), at.y.place(y)]);
  const [endX, endY] = spots.at(-1);
  return [svg("path", { class: `chart-course ${kind}`, d: pathOf(spots), "stroke-dasharray": dashes }),
    svg("circle", { class: `chart-dot ${kind}`, cx: endX, cy: endY, r: 3 })];
}

function pathOf(spots) {
  return spots.map(([x, y], place) => `${place === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** Each name where its line ends, moved apart where lines end together. */
function endWords(series, at, room) {
  const spots = series.map(({ name, points }, place) => ({
    name, place, y: at.y.place(points.at(-1)[1]) + 4, x: at.x.place(points.at(-1)[0]) + 7,
  })).sort((a, b) => a.y - b.y);
  spots.forEach((spot, each) => {
    if (each > 0) spot.y = Math.max(spot.y, spots[each - 1].y + LINE);
  });
  const over = spots.at(-1).y - at.box.foot;
  if (over > 0) for (const spot of spots) spot.y -= over;
  const most = Math.max(Math.floor(room / LETTER), 4);
  return spots.map(({ name, x, y }) => svg("text", { class: "chart-title chart-halo", x, y },
    name.length > most ? `${name.slice(0, most - 1)}…` : name));
}

function inWords({ name, points }, view) {
  const [first, last] = [points[0], points.at(-1)];
  return `${name}: from ${quantity(first[1], view.yUnit ?? "")} to ${quantity(last[1], view.yUnit ?? "")}.`;
}
