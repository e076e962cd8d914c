// The lines of parallel coordinates: one for each architecture, the front over the rest, on a canvas.

import { NO_CODE } from "../data/study_data.js";
import { css } from "./palette.js";
import { extent, laidOut, padded, scale } from "./scales.js";

const MOST_LINES = 1_500; // that eyes and a canvas still tell apart
const TOGETHER = 40; // lines in one stroke: a longer path takes more than its share of time
const WIDE_RANGE = 30; // from here on, the largest over the smallest, an axis is logarithmic

/** One axis: {name, choice: its values and codes or null, scale, log, places: laid-out values by row}; `height` in
 *  pixels.  A choice has its values at 0, 1, 2, .. */
export function makeAxis(data, name, height) {
  const choice = data.metricNames.includes(name) ? null : data.choice(name);
  if (choice !== null) {
    const places = Float64Array.from(choice.codes, (code) => (code === NO_CODE ? NaN : code));
    return { name, choice, places, log: false, scale: scale([choice.values.length - 0.5, -0.5], [height, 0]) };
  }
  const values = data.values(name);
  const ends = extent(values, data.isPlain);
  const log = ends !== null && ends[0] > 0 && ends[1] / ends[0] > WIDE_RANGE;
  const places = laidOut(values, log);
  const domain = ends === null ? [0, 1] : padded(log ? ends.map(Math.log10) : ends, 0.02);
  return { name, choice, places, log, ends, scale: scale(domain, [height, 0], log) };
}

/** Which rows get a line: {rest, chosen, front, counts: {front, shown, of}}; `mask` by row or null. */
export function chooseLines(data, mask) {
  const [front, chosen, rest] = [[], [], []];
  for (let row = 0; row < data.count; row += 1) {
    if (data.isPlain[row] === 0) continue;
    const isChosen = mask === null || mask[row] === 1;
    if (data.isFront[row] === 1 && isChosen) front.push(row);
    else (isChosen ? chosen : rest).push(row);
  }
  const shown = mask === null ? chosen : [...chosen];
  const fewChosen = evenly(shown, MOST_LINES);
  const fewRest = evenly(rest, Math.max(MOST_LINES - fewChosen.length, MOST_LINES / 5));
  return {
    front, chosen: fewChosen, rest: fewRest,
    counts: { front: front.length, chosen: [fewChosen.length, chosen.length], rest: [fewRest.length, rest.length] },
  };
}

/** Draw on a context whose units are pixels; `xs` are where the axes stand. */
export function drawLines(context, axes, xs, top, lines, tokens, { isSelected, focusRow }) {
  // The more lines, the lighter each, so that where they run together still shows.
  const weight = (amount) => Math.min(Math.max(90 / (amount || 1), 0.07), 0.4);
  context.lineJoin = "round";
  stroke(context, axes, xs, top, lines.rest, css(tokens.faded, 0.5 * weight(lines.rest.length)), 1);
  stroke(context, axes, xs, top, lines.chosen,
    css(isSelected ? tokens.ink : tokens.faded, (isSelected ? 0.7 : 1.6) * weight(lines.chosen.length)), 1);
  stroke(context, axes, xs, top, lines.front, css(tokens.front, lines.front.length > 150 ? 0.5 : 0.85), 1.5);
  if (focusRow >= 0) stroke(context, axes, xs, top, [focusRow], css(tokens.ink), 3);
}

function stroke(context, axes, xs, top, rows, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  for (let first = 0; first < rows.length; first += TOGETHER) {
    context.beginPath();
    for (const row of rows.slice(first, first + TOGETHER)) {
      let isOpen = false;
      for (let each = 0; each < axes.length; each += 1) {
        const at = axes[each].places[row];
        // Where a number is missing, the line has a gap.
        if (Number.isNaN(at)) {
          isOpen = false;
          continue;
        }
        const y = top + axes[each].scale.place(at);
        if (isOpen) context.lineTo(xs[each], y);
        else context.moveTo(xs[each], y);
        isOpen = true;
      }
    }
    context.stroke();
  }
}

function evenly(rows, most) {
  if (rows.length <= most) return rows;
  return Array.from({ length: Math.floor(most) }, (_, place) => rows[Math.floor((place * rows.length) / most)]);
}
