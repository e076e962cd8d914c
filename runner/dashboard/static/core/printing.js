// The page on paper: before a browser prints, it is laid out as wide as a sheet, in light colours; afterwards as before.

const drawings = new Set();
const root = document.documentElement;
let theme;

/** Calls `draw` when the page turns to paper and when it turns back; it has to draw at once, since nothing waits for a
 *  frame there.  Returns what ends it. */
export function onPaper(draw) {
  drawings.add(draw);
  return () => drawings.delete(draw);
}

export function isOnPaper() {
  return root.classList.contains("on-paper");
}

function turn(toPaper) {
  if (toPaper === isOnPaper()) return;
  root.classList.toggle("on-paper", toPaper);
  if (toPaper) theme = root.dataset.theme;
  const shown = toPaper ? "light" : theme;
  if (shown === undefined) delete root.dataset.theme;
  else root.dataset.theme = shown;
  for (const draw of drawings) draw();
}

addEventListener("beforeprint", () => turn(true));
addEventListener("afterprint", () => turn(false));
