// Beside the form: whether the study can be sent, and the file that the form makes.

import { copyButton } from "../core/copying.js";
import { h } from "../core/dom.js";
import { count } from "../core/format.js";
import { save } from "../core/saving.js";

const SMALL = 1e15; // digits beyond this say nothing any more
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** {root, status(words, isGood), file(text)}. */
export function createSide({ name }) {
  const said = h("p", { class: "standing", role: "status" });
  const code = h("code", {});
  const text = () => code.textContent;
  const root = h("aside", { class: "panel side", "aria-label": "The study file" },
    said,
    h("div", { class: "panel-head" }, h("h2", {}, "The same as a file"),
      h("span", { class: "toolbar" }, copyButton(text),
        h("button", {
          type: "button", class: "button quiet",
          onclick: () => save(new Blob([text()], { type: "application/yaml" }), `${name() || "study"}.yaml`),
        }, "Download"))),
    h("pre", { tabindex: "0", role: "region", "aria-label": "Study file as YAML" }, code));
  return {
    root,
    status: (words, isGood) => {
      if (said.textContent !== words) said.textContent = words;
      said.classList.toggle("is-good", isGood);
    },
    file: (yaml) => {
      code.textContent = yaml;
    },
  };
}

/** How many architectures, from digits of any length. */
export function architectures(digits) {
  if (Number(digits) < SMALL) return count(Number(digits), "architecture");
  const power = [...String(digits.length - 1)].map((digit) => RAISED[digit]).join("");
  return `${digits[0]}.${digits.slice(1, 3)} × 10${power} architectures`;
}
