// Keys that do something on a page, and the dialog that lists them.  Never while somebody types, and not at all for
// those who have turned single keys off: speech and tremor press keys that were not meant (WCAG 2.2, 2.1.4).

import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";

const OFF = "supernaut-keys-off";
const TYPING = "input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, [contenteditable]";

const registered = new Map(); // key -> {key, words, act}

/** Each of `list` is {key, words, act}: `act(event)` is called when that key is pressed; `words` say what it does.
 *  Of two for one key the newer counts.  Returns a function that takes these away again. */
export function registerKeys(list) {
  for (const entry of list) registered.set(entry.key, entry);
  return () => {
    for (const entry of list) if (registered.get(entry.key) === entry) registered.delete(entry.key);
  };
}

/** Show what there is to press on this page. */
export function showKeys() {
  if (document.querySelector("dialog[open]") !== null) return;
  const on = h("input", { type: "checkbox", onchange: () => turn(on.checked) });
  on.checked = !isOff();
  openDialog("Keys",
    h("dl", { class: "keys" }, [...registered.values()].map(({ key, words }) =>
      h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, words)))),
    h("p", {}, h("label", { class: "check" }, on, "Single keys do something")));
}

registerKeys([{ key: "?", words: "what there is to press here", act: showKeys }]);

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || isOff()) return;
  if (event.target instanceof Element && event.target.closest(TYPING) !== null) return;
  if (document.querySelector("dialog[open]") !== null) return;
  const entry = registered.get(event.key);
  if (entry === undefined) return;
  event.preventDefault();
  entry.act(event);
});

function isOff() {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return false;
  }
}

function turn(on) {
  try {
    if (on) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  } catch {
    return; // a browser that keeps nothing: they stay as they are
  }
}
