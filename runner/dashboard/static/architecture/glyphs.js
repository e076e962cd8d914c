// The glyphs of the drawing: how each looks, and what a legend says of it.  One language for all families.
//
// Every function returns SVG elements for a place in a drawing's own units, which are pixels at its natural size, and
// marks them with `data-glyph`: the legend explains exactly the marks that a drawing holds.

import { svg } from "../core/dom.js";
import { short } from "./words.js";

export const BLOCK_HEIGHT = 26;
const MOST_TICKS = 16;
const LESS_FILL = Object.freeze([
  [2, "dots"],
  [4, "grid"],
  [8, "slant"],
  [16, "lines"],
]); // bits at most, pattern
const CORNER = 9;

/** What a kind of layer is called in its block, and what the legend says. */
export const KINDS = Object.freeze({
  full: ["full", "full attention: every token sees all others"],
  windowed: ["windowed", "windowed attention: a token sees those near it"],
  linear: ["linear", "linear attention: a state of fixed size instead of all pairs"],
  convolution: ["convolution", "convolution: neighbours are mixed by a kernel"],
  recurrence: ["recurrence", "recurrence: a state that is handed on"],
  identity: ["identity", "nothing mixes the tokens here"],
  other: ["", "a mixer of the model's own, under its own name"],
  plain: ["", "a layer without a choice of mixer"],
});

/** The pattern that `bits` are filled with; full precision is plain. */
export function fillOf(bits) {
  if (bits === null) return "plain";
  return LESS_FILL.find(([most]) => bits <= most)?.[1] ?? "plain";
}

/** Definitions of the patterns for a drawing; `prefix` makes their ids its own. */
export function patterns(prefix) {
  const marks = {
    dots: [svg("circle", { cx: 3, cy: 3, r: 1.3, class: "ink" })],
    grid: [svg("path", { d: "M0 0H6M0 0V6", class: "hatch" })],
    slant: [svg("path", { d: "M-1 1L1 -1M0 6L6 0M5 7L7 5", class: "hatch" })],
    lines: [svg("path", { d: "M0 1H6", class: "hatch" })],
  };
  return svg(
    "defs",
    {},
    Object.entries(marks).map(([name, children]) =>
      svg("pattern", { id: `${prefix}-${name}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, ...children),
    ),
  );
}

/** The block of a layer: its outline tells the kind, its fill the bits. */
export function block(kind, { x, y, width, bits, prefix }) {
  const d = outline(kind, x, y, width, BLOCK_HEIGHT);
  const fill = fillOf(bits);
  return svg(
    "g",
    { "data-glyph": `kind:${kind}` },
    svg("path", { d, class: `block is-${kind}` }),
    fill === "plain" ? null : svg("path", { d, fill: `url(#${prefix}-${fill})`, "data-glyph": `bits:${bits}` }),
    fill !== "plain" || bits === null ? null : svg("path", { d, fill: "none", "data-glyph": `bits:${bits}` }),
    kind === "recurrence" ? svg("path", { d: sides(x, y, width), class: "line" }) : null,
  );
}

/** Ticks that stand on (`up`) or hang from a line of this length: one for each head, up to 16. */
export function ticks(heads, count, { x, y, width, up }) {
  const shown = Math.min(count, MOST_TICKS);
  const step = width / (shown + 1);
  const length = up ? -7 : 7;
  const places = Array.from({ length: shown }, (_, index) => x + step * (index + 1));
  const d = places.map((place) => `M${place} ${y}V${y + length}`).join("");
  const ends =
    heads !== "value"
      ? null
      : places.map((place) => svg("circle", { cx: place, cy: y + length, r: 1.8, class: "paper line" }));
  return svg(
    "g",
    { "data-glyph": `heads:${heads}` },
    svg("path", { d, class: count > MOST_TICKS ? "thick line" : "line" }),
    ends,
  );
}

/** A bracket: how far a layer sees, as a part of the widest one drawn. */
export function bracket({ x, y, width, all }) {
  const right = x + width;
  const arrow = (tip, back) => `M${tip + back} ${y - 3}L${tip} ${y}L${tip + back} ${y + 3}`;
  const d = all
    ? `${arrow(x, 4)}M${x} ${y}H${right}${arrow(right, -4)}`
    : `M${x} ${y - 4}V${y + 4}M${x} ${y}H${right}M${right} ${y - 4}V${y + 4}`;
  return svg("path", { d, class: "line", "data-glyph": all ? "span:all" : "span:some" });
}

/** What follows the mixer: it widens as much as the ratio says; a bar where there is none. */
export function widening(ratio, { x, y, most, bits, prefix }) {
  if (ratio === 0)
    return svg("path", {
      d: `M${x} ${y + BLOCK_HEIGHT / 2}H${x + 36}`,
      class: "thick line",
      "data-glyph": "mlp:none",
    });
  const near = 10;
  const far = near + 18 * Math.min(ratio / Math.max(most, 1), 1);
  const middle = y + BLOCK_HEIGHT / 2;
  const d = `M${x} ${middle - near / 2}L${x + 36} ${middle - far / 2}V${middle + far / 2}L${x} ${middle + near / 2}Z`;
  const fill = fillOf(bits);
  return svg(
    "g",
    { "data-glyph": "mlp" },
    svg("path", { d, class: "block" }),
    fill === "plain" ? null : svg("path", { d, fill: `url(#${prefix}-${fill})` }),
  );
}

/** A gate: something that multiplies. */
export function gate({ x, y }) {
  return svg("path", {
    d: `M${x - 3} ${y - 3}L${x + 3} ${y + 3}M${x + 3} ${y - 3}L${x - 3} ${y + 3}`,
    class: "line",
    "data-glyph": "gate",
  });
}

/** Attention over channels: a ring behind the block. */
export function ring({ x, y }) {
  return svg("circle", { cx: x, cy: y, r: 4.5, class: "paper line", "data-glyph": "ring" });
}

/** Something taken away: a notch in the upper edge of a block. */
export function notch(name, { x, y }) {
  return svg("path", {
    d: `M${x - 5} ${y}L${x} ${y + 7}L${x + 5} ${y}Z`,
    class: "notch",
    "data-glyph": `notch:${name}`,
  });
}

/** What a legend says of a mark; `seen` are values that it stands for in these drawings. */
export function meaningOf(mark, seen) {
  const [glyph, detail] = mark.split(":");
  const named = seen.length === 0 ? "" : ` (here: ${seen.map((each) => short(each, 24)).join(", ")})`;
  switch (glyph) {
    case "kind":
      return `${KINDS[detail][1]}${named}`;
    case "bits":
      return `weights in ${detail} bit`;
    case "heads":
      return detail === "query"
        ? "a tick above: a query head"
        : detail === "key"
          ? "a tick below: a K head"
          : "a tick with a ring below: a V head";
    case "span":
      return detail === "all" ? "sees all tokens" : `sees so far, to scale${named}`;
    case "mlp":
      return detail === "none" ? "no feed-forward part" : `widens inside by so much${named}`;
    case "gate":
      return "the feed-forward part is gated";
    case "ring":
      return `attention over channels${named}`;
    case "notch":
      return `${detail}: what is taken away, with its number`;
    case "width":
      return "the wider a block, the more features";
    case "stage":
      return "a stage begins: what stands below it belongs to it";
    case "differs":
      return "the answers named there differ";
    case "absent":
      return "the architecture has no such layer";
    default:
      throw new Error(`no glyph is called ${mark}`);
  }
}

function outline(kind, x, y, width, height) {
  const [right, bottom, middle] = [x + width, y + height, y + height / 2];
  const [inner, outer] = [x + CORNER, right - CORNER];
  const round = (to, end) => `A${CORNER} ${height / 2} 0 0 1 ${to} ${end}`;
  switch (kind) {
    case "windowed":
      return `M${inner} ${y}H${outer}L${right} ${middle}L${outer} ${bottom}H${inner}L${x} ${middle}Z`;
    case "linear":
      return `M${inner} ${y}H${right}L${outer} ${bottom}H${x}Z`;
    case "convolution":
      return `M${inner} ${y}H${outer}${round(outer, bottom)}H${inner}${round(inner, y)}Z`;
    case "identity":
      return `M${x} ${y + 5}H${right}V${bottom - 5}H${x}Z`;
    default:
      return `M${x} ${y}H${right}V${bottom}H${x}Z`;
  }
}

/** A second line at both ends: what comes out goes in again. */
function sides(x, y, width) {
  return `M${x + 5} ${y}v${BLOCK_HEIGHT}M${x + width - 5} ${y}v${BLOCK_HEIGHT}`;
}
