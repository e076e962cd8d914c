// Architectures drawn layer by layer, the first on top.  Several are laid out together: the same layer stands at the
// same height in each, and widths, spans and ratios have one scale.
//
// Labels have bands and columns of their own, in a font of fixed width, so that none can meet another.

import { svg } from "../core/dom.js";
import { block, BLOCK_HEIGHT, bracket, gate, KINDS, notch, patterns, ring, ticks, widening } from "./glyphs.js";
import { rolesOf } from "./roles.js";
import { answerText, lined, short } from "./words.js";

export const WIDTH = 352;
const BAND = 15; // height of a line of text
const PAD = 5;
const NOTE = 13; // height of a line beside a block
const COLUMN = 6.8; // the widest that a sign of the fixed-width font gets at 11 units
const LEFT = 34; // where blocks begin
const INDENT = 8;
const NARROWEST = 84;
const WIDEST = 136;
const BESIDE = LEFT + WIDEST + 10; // labels of bands
const BESIDE_COLUMNS = Math.floor((WIDTH - BESIDE) / COLUMN);
const AFTER = LEFT + WIDEST + 22; // the feed-forward part
const NOTES = AFTER + 62;
const NOTE_COLUMNS = Math.floor((WIDTH - NOTES) / COLUMN);
const TEXT_COLUMNS = Math.floor((WIDTH - LEFT) / COLUMN);
const CELLS = 2; // of answers of the whole, side by side
const CELL_COLUMNS = Math.floor(WIDTH / CELLS / COLUMN) - 1;

let drawings = 0;

/** The drawings of `count` architectures from rows of `outline.js`, which are all of one list: an array of
 *  {element: svg, marks: Map of glyph -> array of values it stands for}.  `label(index)` names each for those who do
 *  not see it; `differing` says in words what differs between them. */
export function drawArchitectures(rows, count, { label, differing = false }) {
  const parts = rows.map((row) =>
    row.cells.map((cell) => (cell === null ? null : rolesOf(cell.answers, cell.above))),
  );
  const scale = scaleOf(parts.flat());
  const heights = rows.map((row, at) =>
    Math.max(...row.cells.map((cell, index) => heightOf(row, cell, parts[at][index], differing))),
  );
  return Array.from({ length: count }, (_, index) => {
    drawings += 1;
    const prefix = `drawing-${drawings}`;
    const marks = new Map();
    const total = heights.reduce((sum, height) => sum + height, 0) + PAD;
    const element = svg(
      "svg",
      { class: "architecture", viewBox: `0 0 ${WIDTH} ${total}`, role: "img", "aria-label": label(index) },
      patterns(prefix),
    );
    let y = 0;
    rows.forEach((row, at) => {
      const cell = row.cells[index];
      const group = svg("g", {
        "data-place": row.key,
        ...(differing && row.names.length > 0 ? { "data-differs": row.names.join(" ") } : {}),
      });
      const pen = { group, marks, prefix, scale, y, height: heights[at], differing };
      if (row.depth === 0) drawWhole(pen, row, cell);
      else if (cell === null) drawAbsent(pen, row);
      else if (row.inner) drawStage(pen, row, cell);
      else drawLayer(pen, row, parts[at][index]);
      element.append(group);
      y += heights[at];
    });
    return { element, marks };
  });
}

function scaleOf(parts) {
  const present = parts.filter((each) => each !== null);
  const numbers = (find) => Math.max(0, ...present.flatMap(find).filter((value) => typeof value === "number"));
  return {
    width: numbers(({ width }) => [width]),
    narrow: Math.min(...present.map(({ width }) => width).filter((width) => width !== null)),
    span: numbers(({ spans }) => spans.map(({ value }) => value)),
    ratio: numbers(({ ratio }) => [ratio?.value]),
  };
}

// Heights

function heightOf(row, cell, roles, differing) {
  const difference = differing ? differenceLines(row, cell).length : 0;
  if (row.depth === 0) return wholeLines(cell) * BAND + difference * BAND + PAD * 2;
  if (cell === null) return BAND + difference * BAND + PAD;
  if (row.inner) return (1 + stageLines(cell).length + difference) * BAND + PAD * 2;
  const notes = notesOf(roles).length;
  const bands = (roles.heads.query === null ? 0 : 1) + (hasKeys(roles) ? 1 : 0) + roles.spans.length;
  const beside = Math.max(BLOCK_HEIGHT, notes * NOTE);
  return bands * BAND + beside + restLines(roles).length * BAND + difference * BAND + PAD * 2;
}

function wholeLines(cell) {
  return Math.ceil(Object.keys(cell?.answers ?? {}).length / CELLS);
}

function stageLines(cell) {
  return lined(
    Object.entries(cell.answers).map(([name, value]) => `${name} ${answerText(value)}`),
    TEXT_COLUMNS,
  );
}

function restLines(roles) {
  return lined(
    roles.rest.map(([name, value]) => `${name} ${answerText(value)}`),
    TEXT_COLUMNS,
  );
}

function notesOf({ bits, gate: gated, attention, notches, ownWidth }) {
  return [
    ownWidth === null ? null : `width ${ownWidth}`,
    bits === null ? null : `${bits} bit`,
    gated === null ? null : gated,
    attention === null || attention === "none" ? null : attention,
    ...notches.map(({ name, value }) => `${name} ${answerText(value)}`),
  ]
    .filter((each) => each !== null)
    .map((each) => short(each, NOTE_COLUMNS));
}

function hasKeys({ heads }) {
  return heads.key !== null || heads.value !== null;
}

// What is drawn

function drawWhole({ group, y, marks, differing }, row, cell) {
  Object.entries(cell?.answers ?? {}).forEach(([name, value], at) => {
    const x = (at % CELLS) * (WIDTH / CELLS) + 2;
    const line = y + PAD + Math.floor(at / CELLS) * BAND + 11;
    const told = short(answerText(value), CELL_COLUMNS / 2);
    const label = short(name, CELL_COLUMNS - [...told].length - 1);
    group.append(
      titled(
        text(x, line, [svg("tspan", { class: "soft" }, `${label} `), svg("tspan", { class: "strong" }, told)]),
        `${name}: ${answerText(value)}`,
      ),
    );
  });
  if (differing)
    drawDifference(group, marks, differenceLines(row, cell), 2, y + PAD + wholeLines(cell) * BAND + 11);
}

function drawAbsent({ group, y, marks }, row) {
  mark(marks, "absent");
  group.append(
    svg("path", { d: `M${LEFT} ${y + 8}h10`, class: "line dashed", "data-glyph": "absent" }),
    text(LEFT + 16, y + 12, [short(`no ${row.label} here`, 36)], "soft"),
  );
}

function drawStage({ group, y, marks, differing }, row, cell) {
  mark(marks, "stage");
  group.append(
    svg("path", {
      d: `M${4 + (row.depth - 1) * INDENT} ${y + 4}H${WIDTH - 4}`,
      class: "line",
      "data-glyph": "stage",
    }),
    text(LEFT - 28, y + 18, [short(row.label, 40)], "strong"),
  );
  stageLines(cell).forEach((line, at) => group.append(text(LEFT, y + 18 + (at + 1) * BAND, [line], "spaced")));
  const after = y + 18 + (stageLines(cell).length + 1) * BAND;
  if (differing) drawDifference(group, marks, differenceLines(row, cell), LEFT, after);
}

function drawLayer({ group, y: top, marks, prefix, scale, height, differing }, row, roles) {
  const { heads, spans, ratio, bits } = roles;
  const width = widthOf(roles.width, scale);
  let y = top + PAD;
  if (heads.query !== null) {
    mark(marks, "heads:query");
    group.append(
      ticks("query", heads.query, { x: LEFT, y: y + BAND, width, up: true }),
      text(BESIDE, y + 11, [plural(heads.query, hasKeys(roles) ? "query head" : "head")]),
    );
    y += BAND;
  }
  const upper = y;
  mark(marks, `kind:${roles.kind}`, roles.value === null ? null : answerText(roles.value));
  if (bits !== null) mark(marks, `bits:${bits}`);
  if (roles.width !== null && scale.narrow < scale.width) mark(marks, "width");
  group.append(
    svg("title", {}, `${row.label}: ${describe(roles)}`),
    svg(
      "g",
      roles.width !== null && scale.narrow < scale.width ? { "data-glyph": "width" } : {},
      block(roles.kind, { x: LEFT, y: upper, width, bits, prefix }),
    ),
    text(LEFT - 8, upper + 17, [String(row.place.at(-1)[1])], "soft end"),
    text(
      LEFT + width / 2,
      upper + 17,
      [
        short(
          KINDS[roles.kind][0] || (roles.value === null ? row.place.at(-1)[0] : answerText(roles.value)),
          Math.floor((width - 14) / COLUMN),
        ),
      ],
      "middle halo",
    ),
  );
  roles.notches.forEach(({ name }, at) => {
    mark(marks, `notch:${name}`);
    group.append(notch(name, { x: LEFT + width - 14 - at * 14, y: upper }));
  });
  if (roles.attention !== null && roles.attention !== "none") {
    mark(marks, "ring", roles.attention);
    group.append(ring({ x: AFTER - 8, y: upper + BLOCK_HEIGHT / 2 }));
  }
  if (ratio !== null) drawRatio(group, marks, roles, { upper, scale, prefix });
  const notes = notesOf(roles);
  const highest = upper + Math.max(BLOCK_HEIGHT / 2 - (notes.length - 1) * (NOTE / 2), NOTE / 2) + 4;
  notes.forEach((note, at) => group.append(text(NOTES, highest + at * NOTE, [note])));
  y += Math.max(BLOCK_HEIGHT, notes.length * NOTE);
  const lower = upper + BLOCK_HEIGHT;
  if (hasKeys(roles)) {
    for (const [kind, x] of [
      ["key", LEFT],
      ["value", LEFT + width / 2],
    ]) {
      if (heads[kind] === null) continue;
      mark(marks, `heads:${kind}`);
      group.append(ticks(kind, heads[kind], { x, y: lower, width: width / 2, up: false }));
    }
    const words = [
      ["key", "K"],
      ["value", "V"],
    ]
      .filter(([kind]) => heads[kind] !== null)
      .map(([kind, name]) => `${heads[kind]} ${name}`);
    group.append(text(BESIDE, y + 11, [`${words.join(", ")} heads`]));
    y += BAND;
  }
  for (const { name, value } of spans) {
    const all = value === "full";
    mark(marks, all ? "span:all" : "span:some", all ? null : name);
    const long = all ? WIDEST : 12 + (WIDEST - 24) * (value / scale.span);
    group.append(
      bracket({ x: LEFT, y: y + 9, width: long, all }),
      text(LEFT + long + 8, y + 12, [short(`${name} ${answerText(value)}`, BESIDE_COLUMNS)]),
    );
    y += BAND;
  }
  for (const line of restLines(roles)) {
    group.append(text(LEFT, y + 12, [line], "spaced"));
    y += BAND;
  }
  if (differing) drawDifference(group, marks, differenceLines(row, {}), LEFT, top + height - PAD - 2, true);
}

function drawRatio(group, marks, { ratio, gate: gated, bits }, { upper, scale, prefix }) {
  mark(marks, ratio.value === 0 ? "mlp:none" : "mlp", ratio.value === 0 ? null : ratio.name);
  group.append(widening(ratio.value, { x: AFTER, y: upper, most: scale.ratio, bits, prefix }));
  if (ratio.value === 0) return;
  if (gated === "gated") {
    mark(marks, "gate");
    group.append(gate({ x: AFTER + 7, y: upper + BLOCK_HEIGHT / 2 }));
  }
  group.append(text(AFTER + 25, upper + 17, [short(`×${answerText(ratio.value)}`, 5)], "middle halo"));
}

/** The lines that say what differs, the first at `y`, or with `last` the last one. */
function drawDifference(group, marks, lines, x, y, last = false) {
  if (lines.length === 0) return;
  mark(marks, "differs");
  const first = last ? y - (lines.length - 1) * BAND : y;
  const texts = lines.map((line, at) => text(x, first + at * BAND, [line], "differs"));
  group.append(svg("g", { "data-glyph": "differs" }, texts));
}

function differenceLines(row, cell) {
  if (cell === null || row.differing.length === 0) return [];
  const names = row.among.map((name, at) => (at < row.among.length - 1 ? `${name},` : name));
  return lined(
    row.partly
      ? [names.length > 0 ? "≠ not in all:" : "≠ not in all", ...names]
      : [`≠ ${names[0]}`, ...names.slice(1)],
    TEXT_COLUMNS,
    1,
  );
}

/** A layer in words. */
export function describe(roles) {
  const parts = [
    KINDS[roles.kind][0] || (roles.value === null ? "" : answerText(roles.value)),
    roles.ownWidth === null ? "" : `width ${roles.ownWidth}`,
    roles.heads.query === null ? "" : plural(roles.heads.query, "head"),
    roles.heads.key === null ? "" : plural(roles.heads.key, "K head"),
    roles.heads.value === null ? "" : plural(roles.heads.value, "V head"),
    ...roles.spans.map(({ name, value }) => `${name} ${answerText(value)}`),
    roles.ratio === null ? "" : `${roles.ratio.name} ${answerText(roles.ratio.value)}`,
    roles.gate ?? "",
    roles.attention === null ? "" : `attention ${roles.attention}`,
    roles.bits === null ? "" : `${roles.bits} bit`,
    ...roles.notches.map(({ name, value }) => `${name} ${answerText(value)}`),
    ...roles.rest.map(([name, value]) => `${name} ${answerText(value)}`),
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function widthOf(width, { width: most }) {
  if (width === null || most === 0) return (NARROWEST + WIDEST) / 2;
  return NARROWEST + (WIDEST - NARROWEST) * (width / most);
}

function mark(marks, glyph, value = null) {
  const seen = marks.get(glyph) ?? [];
  marks.set(glyph, value === null || seen.includes(value) ? seen : [...seen, value]);
}

function text(x, y, children, classes = "") {
  return svg("text", { x, y, class: classes }, ...children);
}

function titled(element, words) {
  element.append(svg("title", {}, words));
  return element;
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
