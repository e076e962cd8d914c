// The nearest architectures of the front, each with what is different in it and what that gives.

import { h } from "../core/dom.js";
import { count } from "../core/format.js";
import { numbersOf, valueOf } from "./standing.js";
import { changeWords, valueWords } from "./words.js";

/** A list of an architecture's neighbours; `link(digest)` and `compare(digest)` give addresses. */
export function neighbourList(found, { front, metrics, link, compare }) {
  const own = numbersOf(found, front);
  return h(
    "ul",
    { class: "neighbours" },
    found.neighbours.map(({ digest, differences, changed }) => {
      const point = front?.points.find((each) => each.digest === digest);
      const numbers = metrics
        .filter(
          ({ objective, metric }) =>
            objective && own.has(metric) && point !== undefined && valueOf(point.values, metric),
        )
        .map((metric) => valueWords(metric, own.get(metric.metric), valueOf(point.values, metric.metric)));
      return h(
        "li",
        { "data-neighbour": digest },
        h(
          "div",
          { class: "title" },
          h("a", { href: link(digest) }, h("code", {}, digest)),
          front?.knee === digest ? h("span", { class: "badge" }, "knee") : null,
          h("span", { class: "note" }, count(differences, "choice"), " different"),
          h(
            "a",
            { class: "button small end", href: compare(digest), "aria-label": `Compare with ${digest}` },
            "Compare",
          ),
        ),
        h(
          "ul",
          { class: "changes" },
          changeWords(changed).map((words) => h("li", {}, words)),
        ),
        numbers.length === 0 ? null : h("p", { class: "gains" }, numbers.join("; ")),
      );
    }),
  );
}
