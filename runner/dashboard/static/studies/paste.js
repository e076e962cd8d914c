// A study as text: pasted or written, with what is wrong by line.

import { h, replace } from "../core/dom.js";
import { dotted } from "./fields.js";

/** {root, fill(text), read(), show(errors)}; `changed()` is told of every change. */
export function createPaste({ changed }) {
  const area = h("textarea", {
    id: "paste", class: "code", rows: 24, spellcheck: "false", "aria-describedby": "paste-hint paste-errors",
    placeholder: "name: my-study\ntask: {name: digits}",
  });
  const list = h("ul", { id: "paste-errors", class: "line-errors" });
  area.addEventListener("input", changed);
  const root = h("section", { class: "panel" },
    h("div", { class: "field" },
      h("label", { for: "paste" }, "Study file"),
      h("span", { id: "paste-hint", class: "hint" }, "YAML, as ", h("code", {}, "supernaut run"), " takes it."),
      area),
    list);

  function show(errors) {
    if (errors.length > 0) area.setAttribute("aria-invalid", "true");
    else area.removeAttribute("aria-invalid");
    replace(list, errors.map(({ pointer, message }) => {
      const line = lineOf(area.value, pointer, message);
      const words = `${pointer === "" ? "" : `${dotted(pointer)}: `}${message}`;
      if (line === null) return h("li", { class: "error" }, words);
      const go = h("button", { type: "button", class: "button small", onclick: () => select(line) }, `Line ${line}`);
      return h("li", { class: "error" }, go, words);
    }));
  }

  function select(line) {
    const lines = area.value.split("\n");
    const from = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    area.focus();
    area.setSelectionRange(from, from + lines[line - 1].length);
    area.scrollTop = Math.max(line - 6, 0) * Number.parseFloat(getComputedStyle(area).lineHeight);
  }

  return {
    root, show, read: () => area.value,
    fill: (text) => {
      area.value = text;
    },
  };
}

/** The line, from 1, that an error is about: the one it names, or where the fields of its pointer stand; null where
 *  that is unknown. */
export function lineOf(text, pointer, message) {
  const named = /\bline (\d+)/.exec(message);
  if (named !== null) return Math.min(Number(named[1]), text.split("\n").length);
  const lines = text.split("\n");
  let at = null;
  let from = 0;
  for (const name of dotted(pointer).split(".").filter((each) => each !== "")) {
    const key = new RegExp(`(^|[\\s{,"'-])${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}["']?\\s*:`);
    const found = lines.findIndex((each, index) => index >= from && key.test(each.replace(/\s#.*$/, "")));
    if (found < 0) break; // what is missing is missing from the part above
    at = found + 1;
    from = found;
  }
  return at;
}
