// A scene on a canvas: the many as stamps, the front and what came later as marks, with line, shade and intervals.

import { createBackdrop } from "./backdrop.js";
import { createStencils, drawBars, drawFront } from "./marks.js";
import { css, kinds, ramp } from "./palette.js";
import { CROSS } from "./raster.js";
import { FIRST_TINT, NO_TINT, OUT_TINT, SIZE_BINS } from "./scatter_scene.js";

const SHAPES = 5;
const MOST_FINE = 3_000; // marks that are copied one by one; a larger front is stamped
const FRONT_TINT = 255;
const MANY = 20_000; // from here on smaller and lighter
const FEW = 2_000;

/** Draws on `canvas`: `paint(view, scene, split, scales, tokens, isMoving)`; what is moving may be a little coarse. */
export function createPainter(canvas) {
  const context = canvas.getContext("2d");
  const backdrop = createBackdrop();
  let stencils = null;
  let stencilKey = "";

  function paint(view, scene, split, scales, tokens, isMoving) {
    const pixels = canvas.width / canvas.clientWidth || 1;
    const key = `${pixels} ${tokens.paper}`;
    if (stencilKey !== key) [stencils, stencilKey] = [createStencils(tokens.paper, pixels), key];
    const isFine = scene.front.length <= MOST_FINE;
    const colours = coloursOf(scene, tokens);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    backdrop.show(context, [scene, split, tokens, pixels], pixels, scales, isMoving, (raster, axes) => {
      const places = { ...axes, xs: scene.xs, ys: scene.ys };
      if (view.showDominated) stampOthers(raster, scene, split, places, pixels);
      if (!isFine) stampFront(raster, scene, split, places, pixels);
      return colours;
    });
    context.setTransform(pixels, 0, 0, pixels, 0, 0);
    const at = (row) => [scales.x.place(scene.xs[row]), scales.y.place(scene.ys[row])];
    const put = (rows, radius, colour, edge) => putMarks(context, canvas, stencils, scene, split, rows, at,
      { radius, colour, edge });
    if (scene.line !== null) drawLine(context, canvas, scene, at, tokens);
    if (isFine) {
      const isPlain = scene.colour.kind === "none";
      drawBars(context, barsOf(view, scene, scales, at, split), tokens.front);
      put(scene.front, (row) => frontRadius(scene, row),
        (row) => (isPlain ? tokens.front : colours[scene.colour.tints[row]]), isPlain ? null : css(tokens.ink));
    }
    drawLinks(context, view, scene, at, tokens);
    put(scene.later, () => FRONT_RADII[1], () => tokens.later, null);
  }

  return { paint };
}

/** How many of the points that a scene draws lie inside the axes. */
export function countInside(view, scene, { x, y }) {
  let inside = 0;
  const [left, right, low, high] = [...x.domain, ...y.domain];
  const { xs, ys } = scene;
  for (const rows of [scene.front, scene.later, ...(view.showDominated ? [scene.others, scene.outside] : [])]) {
    for (let place = 0; place < rows.length; place += 1) {
      const row = rows[place];
      if (xs[row] >= left && xs[row] <= right && ys[row] >= low && ys[row] <= high) inside += 1;
    }
  }
  return inside;
}

/** The rows of a scene by whether they are selected; `mask` by row, or null. */
export function splitBy(view, scene, mask) {
  const { data } = view;
  // A number that came later belongs to the architecture that was chosen by its first numbers.
  const isIn = (row) => mask[row] || (data.isPlain[row] === 1 ? 0 : mask[data.rowOf(data.digests[row])] ?? 0);
  if (mask === null || mask === undefined) {
    return { mask: null, chosen: scene.others, rest: [], outChosen: scene.outside, outRest: [], isIn };
  }
  return {
    mask, isIn,
    chosen: scene.others.filter((row) => mask[row] === 1), rest: scene.others.filter((row) => mask[row] === 0),
    outChosen: scene.outside.filter((row) => mask[row] === 1), outRest: scene.outside.filter((row) => mask[row] === 0),
  };
}

// Pixels: the smallest, the usual, the largest.
const FRONT_RADII = [3.5, 5.5, 11];

/** The radius of a mark on the front, in pixels. */
export function frontRadius(scene, row) {
  return radiusOf(scene, row, FRONT_RADII);
}

function radiusOf(scene, row, [small, usual, large]) {
  return scene.size === null ? usual : between(small, large, scene.size.bins[row]);
}

/** Areas, not widths, grow in equal steps. */
function between(small, large, bin) {
  return Math.sqrt(small ** 2 + ((large ** 2 - small ** 2) * bin) / (SIZE_BINS - 1));
}

function putMarks(context, canvas, stencils, scene, split, rows, at, { radius, colour, edge }) {
  const [width, height] = [canvas.clientWidth + 20, canvas.clientHeight + 20];
  // What is selected lies above what is not.
  for (const [wanted, alpha] of split.mask === null ? [[null, 1]] : [[0, 0.22], [1, 1]]) {
    for (const row of rows) {
      if (wanted !== null && split.isIn(row) !== wanted) continue;
      const [px, py] = at(row);
      if (!(px > -20 && py > -20 && px < width && py < height)) continue;
      stencils(context, scene.shapes[row], px, py, radius(row), colour(row), { alpha, edge });
    }
  }
}

function stampOthers(raster, scene, { mask, chosen, rest, outChosen, outRest }, places, pixels) {
  const amount = scene.others.length;
  const usual = amount > MANY ? 1.7 : amount > FEW ? 2.4 : 3.2;
  const table = stampTable([1.6, usual, 5.5], scene.size !== null, pixels);
  const hasColour = scene.colour.kind !== "none";
  const tints = hasColour ? scene.colour.tints : NO_TINT;
  const faint = { share: 0.16, gathers: false };
  const plain = { share: hasColour ? 0.72 : amount > MANY ? 0.3 : 0.45, gathers: !hasColour };
  // What is selected among the many has to stand out from what is not.
  const strong = mask === null ? plain : { ...plain, share: Math.min(plain.share * 2, 0.9) };
  raster.stamp(outRest, places, scene.looks, table, OUT_TINT, faint);
  raster.stamp(rest, places, scene.looks, table, OUT_TINT, faint);
  raster.stamp(outChosen, places, scene.looks, table, tints, { ...strong, share: Math.max(strong.share, 0.6) });
  raster.stamp(chosen, places, scene.looks, table, tints, strong);
}

function stampFront(raster, scene, { mask, isIn }, places, pixels) {
  const table = stampTable([2.5, 3, 6], scene.size !== null, pixels);
  const tints = scene.colour.kind === "none" ? FRONT_TINT : scene.colour.tints;
  const chosen = mask === null ? scene.front : scene.front.filter((row) => isIn(row));
  const rest = mask === null ? [] : scene.front.filter((row) => !isIn(row));
  raster.stamp(rest, places, scene.looks, table, OUT_TINT, { share: 0.3, gathers: false });
  raster.stamp(chosen, places, scene.looks, table, tints, { share: 1, gathers: false });
}

function stampTable([small, usual, large], hasSizes, pixels) {
  return Array.from({ length: SHAPES * SIZE_BINS }, (_, look) => {
    const shape = Math.floor(look / SIZE_BINS);
    const radius = hasSizes ? between(small, large, look % SIZE_BINS) : usual;
    // A cross has so little of itself that it needs more room to be seen.
    return { shape, radius: (shape === CROSS ? Math.max(radius * 1.5, 3) : radius) * pixels };
  });
}

function coloursOf(scene, tokens) {
  const own = scene.colour.kind === "metric" ? ramp() : scene.colour.kind === "choice" ? kinds() : [];
  const found = Array.from({ length: 256 }, () => tokens.faded);
  own.forEach((colour, place) => (found[FIRST_TINT + place] = colour));
  found[FRONT_TINT] = tokens.front;
  return found;
}

function drawLine(context, canvas, scene, at, tokens) {
  const { rows, across, up } = scene.line;
  // Half a screen beyond the edge is as good as the end of the axis.
  const away = 0.5 * Math.max(canvas.clientWidth, canvas.clientHeight);
  const worst = { x: across > 0 ? canvas.clientWidth + away : -away, y: up > 0 ? -away : canvas.clientHeight + away };
  drawFront(context, rows.map(at), worst, tokens.front);
}

function barsOf(view, scene, { x, y }, at, { mask }) {
  const bars = [];
  const end = (scale, value) => (scale.log && value <= 0 ? scale.range[0] : scale.of(value));
  for (const row of scene.front) {
    if (mask !== null && mask[row] === 0) continue;
    const [px, py] = at(row);
    const [wide, high] = [view.data.interval(row, view.x), view.data.interval(row, view.y)];
    if (wide !== null) bars.push([end(x, wide[0]), py, end(x, wide[1]), py]);
    if (high !== null) bars.push([px, end(y, high[0]), px, end(y, high[1])]);
  }
  return bars;
}

/** From each point of the front to what it reached when it was retrained or exported. */
function drawLinks(context, view, scene, at, tokens) {
  const { data } = view;
  context.beginPath();
  for (const row of scene.later) {
    const origin = data.rowOf(data.digests[row]);
    if (origin < 0 || Number.isNaN(scene.xs[origin]) || Number.isNaN(scene.ys[origin])) continue;
    context.moveTo(...at(origin));
    context.lineTo(...at(row));
  }
  context.strokeStyle = css(tokens.later);
  context.lineWidth = 1.25;
  context.setLineDash([3, 3]);
  context.stroke();
  context.setLineDash([]);
}
