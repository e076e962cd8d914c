// Architectures as a table: a row for each answer, a column for each architecture.

import { h } from "../core/dom.js";
import { prefixOf } from "./outline.js";
import { answerText } from "./words.js";

/** A table of all answers in `rows` of `outline.js`; `digests` head the columns.  With `differencesOnly`, equal ones
 *  are left out; of several architectures, a sign and a word mark what differs. */
export function answerTable(rows, digests, { differencesOnly = false } = {}) {
  const several = digests.length > 1;
  const lines = rows
    .flatMap((row) => namesOf(row).map((name) => ({ row, name, differs: row.differing.includes(name) })))
    .filter(({ differs }) => differs || !differencesOnly);
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": "Table of answers", tabindex: "0" },
    h(
      "table",
      { class: "data" },
      h("caption", { class: "sr-only" }, "Each choice and its answer"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "choice"),
          digests.map((digest) => h("th", { scope: "col" }, several ? h("code", {}, digest) : "answer")),
        ),
      ),
      h(
        "tbody",
        {},
        lines.map(({ row, name, differs }) =>
          h(
            "tr",
            { "data-choice": `${prefixOf(row.place)}${name}`, ...(differs ? { "data-differs": true } : {}) },
            h(
              "th",
              { scope: "row" },
              `${prefixOf(row.place)}${name}`,
              several && differs ? h("span", { class: "badge" }, "≠ differs") : null,
            ),
            row.cells.map((cell) =>
              h(
                "td",
                {},
                cell !== null && Object.hasOwn(cell.answers, name)
                  ? answerText(cell.answers[name])
                  : h("span", { class: "note" }, "not there"),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

function namesOf(row) {
  return [...new Set(row.cells.flatMap((cell) => (cell === null ? [] : Object.keys(cell.answers))))];
}
