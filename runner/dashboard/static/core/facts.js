// Short facts: a term and its words, for a dl.facts.

import { h } from "./dom.js";

/** One fact; `words` are a text, an element or an array of these, `kind` a class. */
export function fact(term, words, kind = null) {
  return h("div", { class: kind }, h("dt", {}, term), h("dd", {}, words));
}
