// Two or more views of one thing, one at a time, by the keys that people expect of tabs.

import { h } from "../core/dom.js";

/** {root, show(name)}; `tabs` [{name, words, panel}]; `wanted(name)` is told which one somebody wants. */
export function createTabs({ label, tabs, wanted }) {
  const buttons = tabs.map(({ name, words, panel }) => {
    panel.id = `tab-panel-${name}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    return h("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": panel.id, onclick: () => wanted(name),
    }, words);
  });
  const root = h("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown: (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const here = buttons.indexOf(document.activeElement);
    buttons[(here + by + buttons.length) % buttons.length].focus();
  } }, buttons);
  return {
    root,
    show: (name) => tabs.forEach((tab, index) => {
      const is = tab.name === name;
      buttons[index].setAttribute("aria-selected", String(is));
      buttons[index].tabIndex = is ? 0 : -1;
      tab.panel.hidden = !is;
    }),
  };
}
