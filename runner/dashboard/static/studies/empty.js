// What stands in the place of the list where there is none.

import { h } from "../core/dom.js";
import { copyButton } from "../core/copying.js";

/** Before the first study: how to make one, here and in a terminal. */
export function emptyList(maySubmit) {
  const command = document.body.dataset.example;
  return h("section", { class: "empty" },
    h("h2", {}, "No study yet"),
    h("p", {}, "A study trains one supernet, measures some of its subnets, and returns the front: the architectures "
      + "that nothing is better than in every objective."),
    maySubmit ? h("p", {}, h("a", { class: "button primary", href: "/new?example=digits" }, "Open the example")) : null,
    h("p", {}, maySubmit ? "Or in a terminal, in the folder of the repository; it takes a few minutes on two cores:"
      : "Your session may only look. In a terminal, in the folder of the repository:"),
    h("pre", { tabindex: "0" }, h("code", {}, command)),
    h("p", {}, copyButton(command)));
}

/** Where there are studies, but none that is asked for. */
export function noHits(clear) {
  return h("section", { class: "empty" },
    h("p", {}, "No study fits what is asked for."),
    h("p", {}, h("button", { type: "button", class: "button", onclick: clear }, "Show all studies")));
}
