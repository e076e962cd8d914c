// What hands do on a plot, as intentions: drag, box, lasso, zoom, tap.  Mouse, pen and touch; keys are elsewhere.

import { MOST_CORNERS } from "../data/selection.js";

const TAP = 5; // pixels that a hand moves without meaning to
const CORNER = 4; // pixels between two corners of a lasso

/** Listens on `plot`.  `on`: mode() -> "pan" | "box" | "lasso"; pan(dx, dy); zoom(factor, x, y); band(corners) while a
 *  box or lasso grows, null when it ends; box(x0, y0, x1, y1); lasso(corners); tap(x, y, event); hover(x, y);
 *  leave(); reset(x, y); wheelStops(factor): whether a wheel has nothing left to do here.  In pixels of the plot. */
export function listen(plot, on) {
  const hands = new Map();
  let drag = null;

  function at(event) {
    const { left, top } = plot.getBoundingClientRect();
    return [event.clientX - left - plot.clientLeft, event.clientY - top - plot.clientTop];
  }

  function down(event) {
    if (event.button !== 0) return;
    plot.setPointerCapture(event.pointerId);
    hands.set(event.pointerId, at(event));
    if (hands.size === 2) {
      cancel();
      return;
    }
    const start = at(event);
    const mode = event.shiftKey && on.mode() === "pan" ? "box" : on.mode();
    drag = { id: event.pointerId, mode, start, last: start, corners: [start], moved: false };
  }

  function move(event) {
    const here = at(event);
    if (!hands.has(event.pointerId)) {
      if (event.pointerType !== "touch") on.hover(...here);
      return;
    }
    if (hands.size === 2) pinch(event.pointerId, here);
    else if (drag?.id === event.pointerId) dragTo(here);
    hands.set(event.pointerId, here);
  }

  function dragTo(here) {
    drag.moved ||= away(here, drag.start) > TAP;
    if (!drag.moved) return;
    plot.classList.add("is-dragging");
    on.leave();
    if (drag.mode === "pan") {
      on.pan(here[0] - drag.last[0], here[1] - drag.last[1]);
    } else if (drag.mode === "box") {
      on.band(boxOf(drag.start, here));
    } else if (away(here, drag.corners.at(-1)) >= CORNER) {
      drag.corners.push(here);
      on.band(drag.corners);
    }
    drag.last = here;
  }

  function pinch(id, here) {
    const [other] = [...hands].filter(([each]) => each !== id).map(([, place]) => place);
    const before = hands.get(id);
    const middle = [0, 1].map((axis) => (here[axis] + other[axis]) / 2);
    on.pan((here[0] - before[0]) / 2, (here[1] - before[1]) / 2);
    on.zoom(Math.max(away(here, other), 1) / Math.max(away(before, other), 1), ...middle);
  }

  function up(event) {
    hands.delete(event.pointerId);
    if (drag?.id !== event.pointerId) return;
    const { mode, start, corners, moved } = drag;
    const end = at(event);
    cancel();
    if (!moved) on.tap(...end, event);
    else if (mode === "box") on.box(...start, ...end);
    else if (mode === "lasso" && corners.length > 2) on.lasso(simplified(corners));
  }

  function cancel() {
    if (drag !== null) on.band(null);
    drag = null;
    plot.classList.remove("is-dragging");
  }

  function wheel(event) {
    const lines = event.deltaMode === 1 ? 30 : event.deltaMode === 2 ? 300 : 1;
    // A pinch on a touchpad comes as a wheel with Control, in small steps.
    const factor = Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015));
    if (on.wheelStops(factor)) return; // the page scrolls on
    event.preventDefault();
    on.zoom(factor, ...at(event));
  }

  function lost(event) {
    hands.delete(event.pointerId);
    if (drag?.id === event.pointerId) cancel();
  }

  plot.addEventListener("pointerdown", down);
  plot.addEventListener("pointermove", move);
  plot.addEventListener("pointerup", up);
  plot.addEventListener("pointercancel", lost);
  plot.addEventListener("pointerleave", () => on.leave());
  plot.addEventListener("wheel", wheel, { passive: false });
  plot.addEventListener("dblclick", (event) => on.reset(...at(event)));
  return { cancel, isDragging: () => drag !== null && drag.moved };
}

/** The corners of the box between two places. */
export function boxOf([x0, y0], [x1, y1]) {
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

/** At most `MOST_CORNERS` of these corners: the ones that the outline misses most go last. */
export function simplified(corners) {
  let found = corners;
  for (let slack = 0.5; found.length > MOST_CORNERS; slack *= 1.5) found = straightened(corners, slack);
  return found;
}

function straightened(corners, slack) {
  const kept = new Uint8Array(corners.length);
  kept[0] = kept[corners.length - 1] = 1;
  const open = [[0, corners.length - 1]];
  while (open.length > 0) {
    const [first, last] = open.pop();
    let [farthest, distance] = [-1, slack];
    for (let each = first + 1; each < last; each += 1) {
      const off = offLine(corners[each], corners[first], corners[last]);
      if (off > distance) [farthest, distance] = [each, off];
    }
    if (farthest < 0) continue;
    kept[farthest] = 1;
    open.push([first, farthest], [farthest, last]);
  }
  return corners.filter((_, place) => kept[place] === 1);
}

function offLine([x, y], [x0, y0], [x1, y1]) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length === 0) return Math.hypot(x - x0, y - y0);
  return Math.abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length;
}

function away([x0, y0], [x1, y1]) {
  return Math.hypot(x1 - x0, y1 - y0);
}
