// Words for answers and for what differs between two architectures.

import { quantity } from "../core/format.js";

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|\p{Extended_Pictographic}/u;
// What a difference of these units is called, the lesser first; others are more or less.
const COMPARATIVES = Object.freeze({
  ms: ["faster", "slower"],
  s: ["faster", "slower"],
  bytes: ["smaller", "larger"],
});
const FEW_CHANGES = 6;
const MOST_TOLD = 40; // signs of an answer within a sentence

/** An answer as text; one that is not there is "none". */
export function answerText(value) {
  if (value === null || value === undefined) return "none";
  return String(value);
}

/** The text in at most `columns` columns of a fixed-width font, with an ellipsis where it was longer. */
export function short(text, columns) {
  const plain = text.replace(/\s+/g, " ");
  let used = 0;
  let kept = "";
  for (const sign of plain) {
    used += WIDE.test(sign) ? 2 : 1;
    if (used > columns - 1 && kept.length + sign.length < plain.length) return `${kept}…`;
    kept += sign;
  }
  return kept;
}

/** Parts of text in lines of at most `columns` columns, never broken within a part; each part is cut to a line. */
export function lined(parts, columns, gap = 2) {
  const lines = [];
  let left = 0;
  for (const part of parts) {
    const text = short(part, columns);
    const size = width(text);
    if (lines.length === 0 || size + gap > left) {
      lines.push([text]);
      left = columns - size;
    } else {
      lines.at(-1).push(text);
      left -= size + gap;
    }
  }
  return lines.map((line) => line.join(" ".repeat(gap)));
}

/** How the other architecture differs from this one, choice by choice: `changed` as in the API, words in a list. */
export function changeWords(changed) {
  const words = changed.slice(0, FEW_CHANGES).map(({ choice, here, there }) => {
    if (there === null) return `${short(choice, MOST_TOLD)}: not there (here ${told(here)})`;
    if (here === null) return `${short(choice, MOST_TOLD)}: ${told(there)}, not there here`;
    return `${short(choice, MOST_TOLD)}: ${told(there)} instead of ${told(here)}`;
  });
  return changed.length > FEW_CHANGES ? [...words, `and ${changed.length - FEW_CHANGES} more`] : words;
}

/** How another value of a metric ({metric, label, unit, goal}) compares with ours, in words; `here` and `there` are
 *  values of the API.  Where their intervals overlap, it says so first. */
export function valueWords({ label, unit, goal }, here, there) {
  if (here.value === there.value) return `the same ${label}`;
  const less = there.value < here.value;
  const better = goal === null ? null : (goal === "minimize") === less;
  const size = Math.abs(there.value - here.value);
  const words = sizeWords(unit, size, here.value, less, better);
  return overlap(here, there)
    ? `no clear difference in ${label} (${words}, intervals overlap)`
    : `${words} in ${label}`;
}

/** Whether two values of the API have intervals that share a number. */
export function overlap(one, other) {
  if ([one.lower, one.upper, other.lower, other.upper].some((each) => each === null || each === undefined))
    return false;
  return one.lower <= other.upper && other.lower <= one.upper;
}

/** The interval of a value of the API as text, or null. */
export function intervalText(value, unit) {
  if (value.lower === null || value.upper === null) return null;
  return `${quantity(value.lower, unit)} to ${quantity(value.upper, unit)}`;
}

function sizeWords(unit, size, here, less, better) {
  const verdict = better === null ? (less ? "less" : "more") : better ? "better" : "worse";
  if (unit === "fraction") {
    const points = brief(size * 100);
    return `${points} ${points === "1" ? "point" : "points"} ${verdict}`;
  }
  if (here === 0) return `${quantity(size, unit)} ${less ? "less" : "more"}`;
  const names = COMPARATIVES[unit];
  const change = `${brief((size / Math.abs(here)) * 100)} %`;
  return names === undefined ? `${change} ${verdict}` : `${change} ${names[less ? 0 : 1]}`;
}

function told(value) {
  return short(answerText(value), MOST_TOLD);
}

/** A number with two digits that count, or so many. */
export function brief(value, digits = 2) {
  return String(Number(value.toPrecision(digits)));
}

function width(text) {
  return [...text].reduce((sum, sign) => sum + (WIDE.test(sign) ? 2 : 1), 0);
}
