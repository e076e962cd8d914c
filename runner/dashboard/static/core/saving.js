// Files that the page itself makes.

import { h } from "./dom.js";

/** Let the browser keep a Blob as a file of this name. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address)); // once the browser has begun to read it
}
