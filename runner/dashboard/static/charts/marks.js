// The marks that stand out, on a canvas: the front, what was retrained or exported, their intervals.  A mark's shape
// is where its number comes from, as `SHAPES` of core/names.js says it.

import { css } from "./palette.js";
import { CROSS, DIAMOND, RING, SQUARE } from "./raster.js";

/** Draw one mark; `colour` and `paper` are [red, green, blue], `edge` a colour around it or null for paper. */
export function drawMark(context, shape, x, y, radius, colour, paper, { alpha = 1, edge = null } = {}) {
  context.globalAlpha = alpha;
  context.beginPath();
  outline(context, shape, x, y, radius);
  if (shape === CROSS) {
    context.strokeStyle = css(colour);
    context.lineWidth = Math.max(radius * 0.4, 1.5);
    context.stroke();
  } else {
    context.fillStyle = css(shape === RING ? paper : colour);
    context.strokeStyle = css(shape === RING ? colour : edge ?? paper);
    context.lineWidth = shape === RING ? Math.max(radius * 0.4, 1.5) : 1.25;
    context.fill();
    if (shape === RING && edge !== null) {
      const width = context.lineWidth;
      [context.strokeStyle, context.lineWidth] = [edge, width + 2];
      context.stroke();
      [context.strokeStyle, context.lineWidth] = [css(colour), width];
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** Marks that were drawn once and are copied afterwards: `put(context, shape, x, y, radius, colour, options)`. */
export function createStencils(paper, pixels) {
  const drawn = new Map();
  return function put(context, shape, x, y, radius, colour, { alpha = 1, edge = null } = {}) {
    const key = `${shape} ${radius} ${colour} ${edge}`;
    const reach = Math.ceil(radius + 3);
    if (!drawn.has(key)) {
      const stencil = document.createElement("canvas");
      stencil.width = stencil.height = 2 * reach * pixels;
      const inner = stencil.getContext("2d");
      inner.scale(pixels, pixels);
      drawMark(inner, shape, reach, reach, radius, colour, paper, { edge });
      drawn.set(key, stencil);
    }
    context.globalAlpha = alpha;
    context.drawImage(drawn.get(key), x - reach, y - reach, 2 * reach, 2 * reach);
    context.globalAlpha = 1;
  };
}

/** Bars from one end of an interval to the other; `bars` [[x, y, x, y], ..] in pixels. */
export function drawBars(context, bars, colour) {
  context.beginPath();
  for (const [x0, y0, x1, y1] of bars) {
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  }
  context.strokeStyle = css(colour, 0.7);
  context.lineWidth = 1.25;
  context.setLineDash([]);
  context.stroke();
}

/** The line of a front through `corners` [[x, y], ..] in pixels, and a shade over what it dominates. */
export function drawFront(context, corners, worst, colour) {
  if (corners.length === 0) return;
  const steps = [corners[0]];
  for (const [x, y] of corners.slice(1)) steps.push([x, steps.at(-1)[1]], [x, y]);
  const path = new Path2D();
  path.moveTo(steps[0][0], worst.y);
  for (const [x, y] of steps) path.lineTo(x, y);
  path.lineTo(worst.x, steps.at(-1)[1]);
  context.strokeStyle = css(colour);
  context.lineWidth = 1.75;
  context.lineJoin = "round";
  context.stroke(path);
  path.lineTo(worst.x, worst.y);
  context.fillStyle = css(colour, 0.06);
  context.fill(path);
}

function outline(context, shape, x, y, radius) {
  if (shape === SQUARE) context.rect(x - 0.86 * radius, y - 0.86 * radius, 1.72 * radius, 1.72 * radius);
  else if (shape === DIAMOND) {
    context.moveTo(x, y - 1.2 * radius);
    context.lineTo(x + 1.2 * radius, y);
    context.lineTo(x, y + 1.2 * radius);
    context.lineTo(x - 1.2 * radius, y);
    context.closePath();
  } else if (shape === CROSS) {
    const arm = 0.75 * radius;
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x + arm, y - arm);
    context.lineTo(x - arm, y + arm);
  } else context.arc(x, y, shape === RING ? radius - 0.75 : radius, 0, 2 * Math.PI);
}
