// What the small charts share: a drawing as wide as its host, with two axes in SVG.

import { h, replace, svg } from "../core/dom.js";
import { onPaper } from "../core/printing.js";
import { axisTicks, scale, tickWords } from "./scales.js";

const LETTER = 6.8;

/** A drawing in `host` that is drawn again when its width changes: `draw(width)` returns its SVG element or null.
 *  Returns {root, ask(), destroy()}; `root` holds a `.chart-drawing`, to which more may be added behind it. */
export function createDrawing(host, draw) {
  const place = h("div", { class: "chart-drawing" });
  const root = h("div", { class: "chart" }, place);
  let asked = 0;
  const drawNow = () => {
    asked = 0;
    if (place.clientWidth > 0) replace(place, draw(place.clientWidth));
  };
  const ask = () => {
    if (asked === 0) asked = requestAnimationFrame(drawNow);
  };
  const observer = new ResizeObserver(ask);
  observer.observe(place);
  const endPaper = onPaper(drawNow);
  replace(host, root);
  return {
    root, ask,
    destroy() {
      cancelAnimationFrame(asked);
      observer.disconnect();
      endPaper();
      root.remove();
    },
  };
}

/** Two axes around a plane: `x` and `y` {domain, label, unit, log}.  Returns {x, y: scales in pixels of the drawing,
 *  box: {left, top, right, foot}, parts: the elements of grid, ticks and titles}. */
export function plane(width, height, x, y, { room = 0 } = {}) {
  const [top, foot] = [28, height - 44];
  const marksOf = (axis, wanted) => {
    const [marks, factor, unit] = axisTicks({ domain: axis.domain, log: false }, axis.unit ?? "", wanted);
    return { marks, words: tickWords(marks, factor), title: `${axis.label}${unit === "" ? "" : ` (${unit})`}` };
  };
  const up = marksOf(y, Math.max(Math.floor(height / 60), 3));
  const left = Math.max(Math.ceil(Math.max(...up.words.map((word) => word.length), 3) * LETTER) + 12, 40);
  const right = width - 14 - room;
  const across = marksOf(x, Math.max(Math.floor((right - left) / 100), 2));
  const scales = { x: scale(x.domain, [left, right]), y: scale(y.domain, [foot, top]) };
  const parts = [];
  across.marks.forEach(({ at }, place) => {
    const px = scales.x.place(at);
    parts.push(svg("line", { class: "chart-grid", x1: px, x2: px, y1: top, y2: foot }),
      svg("text", { x: px, y: foot + 17, "text-anchor": "middle" }, across.words[place]));
  });
  up.marks.forEach(({ at }, place) => {
    const py = scales.y.place(at);
    parts.push(svg("line", { class: "chart-grid", x1: left, x2: right, y1: py, y2: py }),
      svg("text", { x: left - 7, y: py + 4, "text-anchor": "end" }, up.words[place]));
  });
  parts.push(svg("path", { class: "chart-frame", d: `M${left} ${top}V${foot}H${right}` }),
    svg("text", { class: "chart-title", x: right, y: foot + 36, "text-anchor": "end" }, across.title),
    svg("text", { class: "chart-title", x: 4, y: 16 }, up.title));
  return { ...scales, box: { left, top, right, foot }, parts };
}
