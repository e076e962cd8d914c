// What the glyphs of the drawings beside it mean: each one that is used, and no other.

import { h, svg } from "../core/dom.js";
import { block, BLOCK_HEIGHT, bracket, gate, meaningOf, notch, patterns, ring, ticks, widening } from "./glyphs.js";

const ORDER = [
  "kind",
  "width",
  "heads",
  "span",
  "mlp",
  "gate",
  "ring",
  "bits",
  "notch",
  "stage",
  "absent",
  "differs",
];
const SIZE = Object.freeze({ width: 64, height: 40 });

let legends = 0;

/** A list that explains the marks of several drawings: Maps of glyph -> values, as `drawing.js` gives them. */
export function legendOf(...marks) {
  const all = new Map();
  for (const [mark, seen] of marks.flatMap((each) => [...each])) {
    all.set(mark, [...new Set([...(all.get(mark) ?? []), ...seen])]);
  }
  const order = ([mark]) => ORDER.indexOf(mark.split(":")[0]);
  const sorted = [...all].sort((one, other) => order(one) - order(other) || (one[0] < other[0] ? -1 : 1));
  return h(
    "ul",
    { class: "legend" },
    sorted.map(([mark, seen]) =>
      h("li", { "data-legend": mark }, sample(mark), h("span", {}, meaningOf(mark, seen))),
    ),
  );
}

function sample(mark) {
  legends += 1;
  const prefix = `legend-${legends}`;
  const [glyph, detail] = mark.split(":");
  return svg(
    "svg",
    { class: "sample", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, "aria-hidden": "true" },
    patterns(prefix),
    parts(glyph, detail, prefix),
  );
}

function parts(glyph, detail, prefix) {
  const frame = { x: 3, y: 7, width: 58, bits: null, prefix };
  const box = () => svg("path", { d: `M3 7H61V${7 + BLOCK_HEIGHT}H3Z`, class: "block soft" });
  switch (glyph) {
    case "kind":
      return block(detail, frame);
    case "bits":
      return block("full", { ...frame, bits: Number(detail) });
    case "width":
      return [
        block("full", { ...frame, y: 4, width: 30 }),
        svg("path", { d: "M36 17H58M58 17l-4 -3M58 17l-4 3", class: "line" }),
      ];
    case "heads":
      return detail === "query"
        ? [box(), ticks(detail, 3, { x: 3, y: 7, width: 58, up: true })]
        : [
            svg("path", { d: "M3 0H61V24H3Z", class: "block soft" }),
            ticks(detail, 2, { x: 3, y: 24, width: 58, up: false }),
          ];
    case "span":
      return bracket({ x: 8, y: 20, width: 48, all: detail === "all" });
    case "mlp":
      return widening(detail === "none" ? 0 : 4, { x: 14, y: 7, most: 4, bits: null, prefix });
    case "gate":
      return gate({ x: 32, y: 20 });
    case "ring":
      return ring({ x: 32, y: 20 });
    case "notch":
      return [box(), notch(detail, { x: 45, y: 7 })];
    case "stage":
      return svg("path", { d: "M4 20H60", class: "line" });
    case "absent":
      return svg("path", { d: "M22 20h20", class: "line dashed" });
    default:
      return svg("text", { x: 32, y: 25, class: "differs middle" }, "≠");
  }
}
