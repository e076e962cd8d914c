// Buttons that copy.

import { h } from "./dom.js";

const SHOWN_MS = 2_000;

/** A button that copies a text, or what a function gives when it is pressed, and says that it did. */
export function copyButton(text, label = "Copy") {
  const said = h("span", { class: "copied", role: "status" });
  const button = h("button", { type: "button", class: "button quiet copy" }, label);
  let timer = null;
  button.addEventListener("click", async () => {
    const done = await copy(typeof text === "function" ? text() : text);
    said.textContent = done ? "Copied" : "Select it and press Ctrl+C";
    clearTimeout(timer);
    timer = setTimeout(() => { said.textContent = ""; }, SHOWN_MS);
  });
  return h("span", { class: "copying" }, button, said);
}

/** Whether the text is in the clipboard now. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Where the page is no secure origin, there is no clipboard to write to, but a selection can be copied. */
function copyBySelection(text) {
  const focused = document.activeElement;
  const area = h("textarea", { class: "sr-only", readonly: true, "aria-hidden": "true", tabindex: "-1" });
  area.value = text;
  (focused?.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}
