// What was predicted against what was then measured: on the diagonal they agree; a hollow square lies outside of the
// interval that the prediction gave.

import { h, replace, svg } from "../core/dom.js";
import { count, quantity } from "../core/format.js";
import { createDrawing, plane } from "./plane.js";
import { extent, padded } from "./scales.js";

const MOST_BARS = 400; // intervals that are drawn; more would cover the points

/** A calibration chart in `host`; onFocus(digest) when a point is chosen.  Returns {update(view), destroy()}; a view
 *  has label, unit, focusDigest, points [{digest, predicted, lower, upper, measured, measured_lower, measured_upper}],
 *  in the metric's unit. */
export function createCalibration(host, { onFocus }) {
  let [view, cursor] = [null, 0];
  const drawing = createDrawing(host, draw);
  const legend = h("ul", { class: "chart-legend" },
    h("li", {}, sign(true), "measured inside of the predicted interval"), h("li", {}, sign(false), "outside of it"),
    h("li", {}, line(), "predicted and measured agree"));
  const note = h("p", { class: "chart-note" });
  const spoken = h("p", { class: "chart-hidden", "aria-live": "polite" });
  drawing.root.classList.add("is-square");
  drawing.root.append(legend, note, spoken);

  function update(next) {
    view = next;
    cursor = Math.min(cursor, Math.max(view.points.length - 1, 0));
    legend.hidden = view.points.length === 0;
    note.textContent = view.points.length === 0 ? "" : inWords();
    drawing.ask();
  }

  function draw(width) {
    if (view === null || view.points.length === 0) {
      return h("p", { class: "chart-empty" }, "No prediction has been measured yet.");
    }
    const { points, label, unit } = view;
    const ends = padded(extent(points.flatMap((point) => [point.predicted, point.measured,
      ...(points.length <= MOST_BARS ? [point.lower, point.upper] : [])]).filter(Number.isFinite)), 0.04);
    const side = Math.min(width, 460);
    const at = plane(side, side, { domain: ends, label: `${label}, predicted`, unit },
      { domain: ends, label: `${label}, measured`, unit });
    const bars = points.length <= MOST_BARS ? points.flatMap((point) => barsOf(point, at)) : [];
    const focused = points.findIndex(({ digest }) => digest === view.focusDigest);
    const element = svg("svg", {
      width: side, height: side, viewBox: `0 0 ${side} ${side}`, tabindex: "0", role: "application",
      "aria-roledescription": "calibration chart", class: "chart-square",
      "aria-label": `${inWords()} Left and right arrow keys walk along the points, Enter opens one.`,
      onkeydown: onKey, onfocus: () => ring(element, at), onblur: () => ring(element, at),
      onclick: (event) => tap(event, at),
    }, at.parts,
    svg("line", { class: "chart-equal", x1: at.x.place(ends[0]), y1: at.y.place(ends[0]), x2: at.x.place(ends[1]),
      y2: at.y.place(ends[1]) }),
    bars, points.map((point) => mark(point, at.x.place(point.predicted), at.y.place(point.measured), unit)),
    focused < 0 ? null : svg("circle", { class: "chart-cursor", cx: at.x.place(points[focused].predicted),
      cy: at.y.place(points[focused].measured), r: 8 }), svg("g", { class: "chart-held" }));
    return element;
  }

  function tap(event, at) {
    const { left, top } = event.currentTarget.getBoundingClientRect();
    let [best, distance] = [null, 20];
    for (const point of view.points) {
      const away = Math.hypot(at.x.place(point.predicted) - event.clientX + left,
        at.y.place(point.measured) - event.clientY + top);
      if (away < distance) [best, distance] = [point, away];
    }
    if (best !== null) onFocus(best.digest);
  }

  function onKey(event) {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -Infinity, End: Infinity }[event.key];
    const ordered = view.points.map((_, place) => place)
      .sort((a, b) => view.points[a].predicted - view.points[b].predicted);
    if (by !== undefined) {
      const next = Math.min(Math.max(ordered.indexOf(cursor) + by, 0), ordered.length - 1);
      cursor = ordered[next];
      spoken.textContent = `Point ${next + 1} of ${ordered.length}: ${pointWords(view.points[cursor], view.unit)}`;
      drawing.root.querySelector(".chart-square").dispatchEvent(new FocusEvent("focus"));
    } else if (event.key === "Enter") onFocus(view.points[cursor].digest);
    else return;
    event.preventDefault();
  }

  function ring(element, at) {
    const point = view.points[cursor];
    const isHeld = document.activeElement === element && point !== undefined;
    replace(element.querySelector(".chart-held"), isHeld
      ? svg("circle", { class: "chart-ring", cx: at.x.place(point.predicted), cy: at.y.place(point.measured), r: 10 })
      : null);
  }

  function inWords() {
    const { points, label } = view;
    const inside = points.filter(isInside).length;
    const isBare = points.length > MOST_BARS;
    return `${count(points.length, "prediction")} of ${label} measured: ${inside.toLocaleString("en")} inside, `
      + `${(points.length - inside).toLocaleString("en")} outside of the predicted interval.`
      + `${isBare ? ` The intervals of more than ${MOST_BARS} are not drawn.` : ""}`;
  }

  return { update, destroy: drawing.destroy };
}

function isInside({ lower, upper, measured }) {
  return measured >= lower && measured <= upper;
}

function barsOf({ predicted, lower, upper, measured, measured_lower: least, measured_upper: most }, at) {
  const [x, y] = [at.x.place(predicted), at.y.place(measured)];
  const found = [];
  if (Number.isFinite(lower) && Number.isFinite(upper)) {
    found.push(svg("line", { class: "chart-interval", x1: at.x.place(lower), x2: at.x.place(upper), y1: y, y2: y }));
  }
  if (Number.isFinite(least) && Number.isFinite(most)) {
    found.push(svg("line", { class: "chart-interval", x1: x, x2: x, y1: at.y.place(least), y2: at.y.place(most) }));
  }
  return found;
}

function mark(point, x, y, unit) {
  const title = svg("title", {}, `${point.digest}: ${pointWords(point, unit)}`);
  return isInside(point)
    ? svg("circle", { class: "chart-dot", cx: x, cy: y, r: 4 }, title)
    : svg("rect", { class: "chart-missed", x: x - 4, y: y - 4, width: 8, height: 8 }, title);
}

function pointWords(point, unit) {
  const { predicted, lower, upper, measured } = point;
  return `predicted ${quantity(predicted, unit)} (${quantity(lower, unit)} to ${quantity(upper, unit)}), measured `
    + `${quantity(measured, unit)}, ${isInside(point) ? "inside" : "outside"}`;
}

function sign(isIn) {
  return svg("svg", { width: 12, height: 12, "aria-hidden": "true" }, isIn
    ? svg("circle", { class: "chart-dot", cx: 6, cy: 6, r: 4 })
    : svg("rect", { class: "chart-missed", x: 2, y: 2, width: 8, height: 8 }));
}

function line() {
  return svg("svg", { width: 22, height: 12, "aria-hidden": "true" },
    svg("line", { class: "chart-equal", x1: 0, x2: 22, y1: 6, y2: 6 }));
}
