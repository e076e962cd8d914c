// Controls with their words and their errors.  Each knows which place of a specification it is for, as a JSON pointer.

import { h, replace } from "../core/dom.js";
import { marked } from "../core/problems.js";

let made = 0;

/** A control with a label, a hint and a place for its error; `unit` stands in the label. */
export function field({ label, hint = "", unit = "", pointer, control }) {
  made += 1;
  const id = `field-${made}`;
  control.id = id;
  control.dataset.pointer = pointer;
  control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  return h("div", { class: "field" },
    h("label", { for: id }, label, unit === "" ? null : h("span", { class: "hint" }, ` ${unit}`)),
    control,
    h("span", { id: `${id}-hint`, class: "hint" }, marked(hint)),
    h("span", { id: `${id}-error`, class: "error" }));
}

/** Several controls that are for one place. */
export function group({ label, hint = "", pointer }, ...children) {
  made += 1;
  const id = `field-${made}`;
  return h("fieldset", {
    id, "data-pointer": pointer, tabindex: "-1", "aria-describedby": `${id}-hint ${id}-error`,
  },
  h("legend", {}, label),
  h("p", { id: `${id}-hint`, class: "hint" }, hint),
  children,
  h("p", { id: `${id}-error`, class: "error" }));
}

/** A box to be ticked, with its words. */
export function tick({ label, hint = "", checked, onchange }) {
  const box = h("input", { type: "checkbox" });
  box.checked = checked;
  box.addEventListener("change", () => onchange(box.checked));
  const words = hint === "" ? null : h("span", { class: "hint" }, ` ${hint}`);
  return h("label", { class: "check" }, box, h("span", {}, label, words));
}

/** A list to choose one of: `items` [{value, label, group}], the value that is not among them added as it is. */
export function choose({ items, value, empty = null, onchange }) {
  const known = value === "" || items.some((item) => item.value === value);
  const select = h("select", {},
    empty === null ? null : h("option", { value: "" }, empty),
    known ? null : h("option", { value }, `${value} (unknown here)`),
    [...Map.groupBy(items, (item) => item.group ?? "")].map(([name, members]) => {
      const options = members.map((item) => h("option", { value: item.value }, item.label));
      return name === "" ? options : h("optgroup", { label: name }, options);
    }));
  select.value = value;
  select.addEventListener("change", () => onchange(select.value));
  return select;
}

/** A line to type into. */
export function line({ value, oninput, ...attributes }) {
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes });
  input.value = value;
  input.addEventListener("input", () => oninput(input.value));
  return input;
}

/** Puts errors [{pointer, message}] beside the controls below `root` that they are of: the nearest one above the
 *  place, and `rest` where there is none.  Only those that `isShown(pointer)` are told.  Returns [{control, message}]
 *  for all. */
export function placeErrors(root, errors, rest, isShown = () => true) {
  const controls = new Map([...root.querySelectorAll("[data-pointer]")].map((each) => [each.dataset.pointer, each]));
  const placed = errors.map(({ pointer, message }) => {
    const place = pointer === "" ? pointerIn(message) : pointer;
    const control = nearest(controls, place) ?? rest;
    const where = control === rest && place !== "" ? `${dotted(place)}: ` : "";
    return { control, message: where + message };
  });
  for (const control of controls.values()) {
    const mine = isShown(control.dataset.pointer) ? placed.filter((each) => each.control === control) : [];
    const spot = document.getElementById(`${control.id}-error`);
    const words = mine.map(({ message }) => message).join("; ");
    if (spot.textContent !== words) replace(spot, words);
    if (mine.length > 0) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
  return placed;
}

/** What stands before an error for the whole: the names of its fields. */
export function labelOf(control) {
  const label = control.tagName === "FIELDSET" ? control.querySelector("legend") : control.labels?.[0];
  return (label?.firstChild ?? control).textContent.trim();
}

/** A pointer as people write it: `objectives.error`. */
export function dotted(pointer) {
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).join(".");
}

/** One part of a pointer for this name. */
export function part(name) {
  return `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function nearest(controls, pointer) {
  if (controls.has(pointer)) return controls.get(pointer);
  // What is missing as a whole is missing from the first of its fields.
  const below = [...controls.keys()].find((each) => pointer !== "" && each.startsWith(`${pointer}/`));
  if (below !== undefined) return controls.get(below);
  for (let place = pointer; place !== ""; place = place.slice(0, place.lastIndexOf("/"))) {
    if (controls.has(place)) return controls.get(place);
  }
  return null;
}

/** Where an error for the whole begins with the name of a field, such as `search.evaluations`, it is of that one. */
function pointerIn(message) {
  const [, name] = /^([a-z_]+(?:\.[A-Za-z0-9_]+)+)\b/.exec(message) ?? [];
  return name === undefined ? "" : name.split(".").map(part).join("");
}
