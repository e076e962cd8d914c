// What went wrong, in words for people, and what they can do about it.

import { h } from "./dom.js";
import { ApiProblem, Unreachable } from "./api.js";

const HOME = "on the machine where the server runs";

/** What happened and what helps, in one or two sentences. */
export function problemWords(error) {
  if (error instanceof Unreachable) {
    return "The server does not answer. It may have ended, or the way to it; what was measured is safe.";
  }
  if (!(error instanceof ApiProblem)) return `This page has a fault: ${error.message}`;
  if (error.status === 401) {
    return `Your session has ended. Run \`supernaut open\` ${HOME} and open its link in another tab; then try again `
      + "here: nothing is lost.";
  }
  if (error.status === 403) return `${error.message} Ask whoever runs the server for another link.`;
  if (error.status >= 500) {
    const id = error.requestId === null ? "" : ` The server's log says more, under ${error.requestId}.`;
    return `${error.message}${id}`;
  }
  return error.message;
}

/** A sentence as nodes, in which what stands between backticks is code. */
export function marked(text) {
  return text.split("`").map((part, place) => (place % 2 === 1 ? h("code", {}, part) : part));
}

/** A box with these words, and a button to try again where `retry` is given. */
export function problemBox(error, retry = null) {
  return h("div", { class: "problem", role: "alert" },
    h("p", {}, marked(problemWords(error))),
    retry === null ? null : h("button", { type: "button", class: "button", onclick: retry }, "Try again"));
}
