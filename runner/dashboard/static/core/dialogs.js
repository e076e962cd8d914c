// Questions and notes above the page.  The browser's own <dialog> keeps the focus inside and gives it back.

import { h } from "./dom.js";

/** A dialog with these children and a button that closes it; it is gone when it is closed.  Returns the element. */
export function openDialog(title, ...children) {
  const dialog = frame(title, children, [h("button", { type: "button", class: "button", onclick: () => dialog.close() },
    "Close")]);
  return dialog;
}

/** Asks; true for yes.  `action` is what the button says, such as "Delete"; `danger` for what cannot be undone: then
 *  the focus is on the button that changes nothing. */
export function ask(title, { words, action, danger = false }) {
  return new Promise((resolve) => {
    const no = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Keep as it is");
    const yes = h("button", {
      type: "button", class: danger ? "button danger" : "button primary", onclick: () => dialog.close("yes"),
    }, action);
    const said = [words].flat().map((each) => (each instanceof Node ? each : h("p", {}, each)));
    const dialog = frame(title, said, [no, yes]);
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    (danger ? no : yes).focus();
  });
}

function frame(title, children, buttons) {
  const dialog = h("dialog", { "aria-label": title },
    h("h2", {}, title), h("div", { class: "dialog-body" }, children), h("div", { class: "dialog-foot" }, buttons));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
