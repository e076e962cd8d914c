// The choices of a search space in the form: which values each may have.

import { h, replace } from "../core/dom.js";
import { group, line, part, tick } from "./fields.js";
import { scalar } from "./yaml_scan.js";

/** Draws a box for every value of every option; those that are added stand behind the usual ones. */
export function drawChoices(host, { values, options, changed }) {
  replace(host, options.map((option) => one(option, values, changed)));
}

function one(option, values, changed) {
  const box = h("div", { class: "values" });

  function chosen() {
    return values.choices[option.name] ?? option.default;
  }

  function draw() {
    const all = [...option.default, ...chosen().filter((value) => !option.default.includes(value))];
    if (all.every((value) => typeof value === "number")) all.sort((one, other) => one - other);
    replace(box, all.map((value) => tick({
      label: String(value), checked: chosen().includes(value),
      onchange: (on) => {
        values.choices[option.name] = all.filter((each) => (each === value ? on : chosen().includes(each)));
        changed();
      },
    })), adding(all));
  }

  function adding(all) {
    const input = line({ value: "", oninput: () => {}, size: 6, "aria-label": `Another value of ${option.name}` });
    const add = () => {
      const value = scalar(input.value.trim());
      if (value === null || all.includes(value)) return;
      values.choices[option.name] = [...chosen(), value];
      draw();
      box.querySelector("input[type=text]").focus();
      changed();
    };
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // adds a value, and does not send the form
      add();
    });
    return h("span", { class: "another" }, input,
      h("button", { type: "button", class: "button quiet small", onclick: add }, "Add"));
  }

  draw();
  return group({ label: option.name, hint: option.about, pointer: `/space/choices${part(option.name)}` }, box);
}
