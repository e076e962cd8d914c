// The front of a study among everything else that was evaluated: a scatter of two metrics that is zoomed, moved,
// selected in and walked along by keyboard.  It owns zoom and mode; what is selected and looked at, the page does.

import { replace, svg } from "../core/dom.js";
import { onPaper } from "../core/printing.js";
import { ORDER } from "../data/study_data.js";
import { listen } from "./gestures.js";
import { createNearest } from "./nearest.js";
import { onScheme, readTokens } from "./palette.js";
import { pictureOf } from "./picture.js";
import { axisTicks, roundedTo, scale, tickWords } from "./scales.js";
import { axisWords, boundLines, gridLines, namedPoints } from "./scatter_axes.js";
import { countInside, createPainter, frontRadius, splitBy } from "./scatter_draw.js";
import { createFrame } from "./scatter_frame.js";
import { makeScene } from "./scatter_scene.js";
import { createWindow } from "./scatter_window.js";
import { card, legend, note, sentence, summary } from "./scatter_words.js";

const MOST_DRAWN = 150_000; // off the front: so many are drawn while a hand moves without a frame being missed
const [TOP, RIGHT, FOOT] = [28, 14, 46];
const LETTER = 6.8;
const SETTLED_MS = 150; // after the last movement everything is drawn finely, and counts are worth reading
const SCENE_FIELDS = ["data", "x", "y", "colour", "size", "logX", "logY", "goals", "showDominated"];

/** A scatter in `host`.  `callbacks`: onSelect({ranges} or {lasso} in the metrics' units, or null), onFocus(row),
 *  onPick(row).  Returns {update(view), png() -> Promise of a Blob, shown() -> {x, y}, what the axes reach, destroy()};
 *  a view has data, x, y, colour, size, logX, logY, mask, focusRow, pickedRows, showDominated, label, unit, goals,
 *  bounds ({metric: {at_least, at_most}}, by default those of the data). */
export function createScatter(host, { onSelect, onFocus, onPick }, { mostDrawn = MOST_DRAWN } = {}) {
  const frame = createFrame({ mode: setMode, zoom: zoomMiddle, reset, clear: () => onSelect(null) });
  const { plot, canvas } = frame;
  const painter = createPainter(canvas);
  const now = { view: null, scene: null, split: null, find: null };
  const part = createWindow();
  let [mode, tokens, box, scales] = ["pan", null, null, null];
  let [cursor, hovered, band] = [-1, -1, null];
  let [asked, settling] = [0, 0];

  replace(host, frame.root);
  setMode("pan");
  const hands = listen(plot, {
    mode: () => mode, band: (corners) => { band = corners; drawLive(); },
    pan: (dx, dy) => moved(() => part.pan({ x: -dx / scales.x.factor, y: -dy / scales.y.factor })),
    zoom: (factor, px, py) => moved(() => part.zoom(factor, placeAt(px, py))),
    box: selectBox, lasso: selectLasso, tap, hover, leave, reset: (px, py) => { if (rowAt(px, py, 14) < 0) reset(); },
    wheelStops: (factor) => scales === null || (factor <= 1 && part.isWhole()),
  });
  plot.addEventListener("keydown", onKey);
  plot.addEventListener("blur", drawLive);
  const observer = new ResizeObserver(() => ask());
  observer.observe(plot);
  const endScheme = onScheme(() => { tokens = null; writeLegend(); ask(); });
  const endPaper = onPaper(() => { tokens = null; writeLegend(); draw(); });

  function update(view) {
    const full = completed(view);
    const before = now.view;
    const isNew = before === null || SCENE_FIELDS.some((name) => !Object.is(before[name], full[name]));
    const cursorDigest = cursor >= 0 ? before.data.digests[cursor] : null;
    now.view = full;
    if (isNew) {
      now.scene = makeScene(full, mostDrawn);
      now.find = null;
      cursor = cursorDigest === null ? -1 : full.data.rowOf(cursorDigest);
      if (hovered >= 0 && before.data.digests[hovered] !== full.data.digests[hovered]) leave();
      if (now.scene.domain.x === null || now.scene.domain.y === null) scales = null;
      part.follow(now.scene.domain, { x: `${full.x} ${full.logX}`, y: `${full.y} ${full.logY}` });
      writeLegend();
      canvas.setAttribute("aria-label", summary(full, now.scene));
      plot.setAttribute("aria-label", `${summary(full, now.scene)} Arrow keys walk along the front.`);
    }
    if (isNew || before.mask !== full.mask) now.split = splitBy(full, now.scene, full.mask);
    frame.clear.disabled = full.mask === null;
    ask();
  }

  function ask() {
    if (asked === 0) asked = requestAnimationFrame(draw);
  }

  function draw() {
    asked = 0;
    const { view, scene, split } = now;
    if (view === null || !measure()) return;
    tokens ??= readTokens(plot);
    frame.reset.disabled = !part.isOwn();
    plot.style.touchAction = mode === "pan" && !part.isOwn() ? "pan-y" : "none";
    if (scales === null) {
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
      replace(frame.grid);
      replace(frame.live);
      replace(frame.still, svg("text", { x: plot.clientWidth / 2, y: plot.clientHeight / 2, "text-anchor": "middle" },
        view.data.count === 0 ? "Nothing has been evaluated yet." : "No architecture has both numbers yet."));
      writeNote();
      return;
    }
    painter.paint(view, scene, split, scales, tokens, settling !== 0);
    replace(frame.grid, gridLines(view, scales.x, scales.y, box));
    replace(frame.still, boundLines(view, scales.x, scales.y, box), axisWords(view, scene, scales.x, scales.y, box),
      namedPoints(view, spotOf, 6, box));
    drawLive();
    if (settling === 0) writeNote();
  }

  /** Room for the plot and its axes; false while it is not shown. */
  function measure() {
    const { view, scene } = now;
    const width = plot.clientWidth;
    if (width === 0) return false;
    const height = Math.round(Math.min(Math.max(width * 0.56, 320), 620));
    plot.style.height = `${height}px`;
    if (scene.domain.x === null || scene.domain.y === null) {
      scales = null;
      return true;
    }
    const wanted = [Math.max(Math.floor(width / 110), 3), Math.max(Math.floor(height / 60), 3)];
    const domain = part.domain("y");
    const words = tickWords(...axisTicks({ domain, log: view.logY }, view.unit(view.y), wanted[1]));
    const widest = Math.max(...words.map((word) => word.length), 3);
    const left = Math.max(Math.ceil(widest * LETTER) + 12, 40);
    box = {
      left, top: TOP, width: width - left - RIGHT, height: height - TOP - FOOT, ticks: wanted, full: [width, height],
    };
    fitCanvas();
    scales = { x: scale(part.domain("x"), [0, box.width], view.logX), y: scale(domain, [box.height, 0], view.logY) };
    return true;
  }

  function fitCanvas() {
    const pixels = devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * pixels), Math.round(box.height * pixels)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    for (const name of ["left", "top", "width", "height"]) canvas.style[name] = `${box[name]}px`;
  }

  function writeLegend() {
    if (now.view === null) return;
    tokens ??= readTokens(plot);
    replace(frame.legend, legend(now.view, now.scene, tokens));
  }

  function writeNote() {
    const { view, scene } = now;
    const selected = view.mask === null ? null : view.mask.reduce((sum, each) => sum + each, 0);
    const drawn = scene.front.length + scene.later.length
      + (view.showDominated ? scene.others.length + scene.outside.length : 0);
    const away = scales === null ? 0 : drawn - countInside(view, scene, scales);
    const words = note(view, scene, { away, selected });
    if (frame.note.textContent !== words) frame.note.textContent = words;
  }

  /** What changes without anything else: the band of a gesture, rings around points. */
  function drawLive() {
    const { view, scene } = now;
    if (scales === null) return;
    const rings = [];
    const ring = (row, kind, more) => {
      const spot = spotOf(row);
      if (spot === null) return;
      const radius = (view.data.isFront[row] === 1 ? frontRadius(scene, row) : 3.5) + more;
      rings.push(svg("circle", { class: kind, cx: spot[0], cy: spot[1], r: radius }));
    };
    view.pickedRows.forEach((row) => ring(row, "chart-picked", 6));
    ring(view.focusRow ?? -1, "chart-cursor", 3);
    ring(hovered, "chart-cursor", 2);
    if (document.activeElement === plot) ring(cursor, "chart-cursor", 4);
    if (band !== null) rings.push(svg("polygon", { class: "chart-band", points: band.map(String).join(" ") }));
    replace(frame.live, rings);
  }

  /** Where a row is in the plot, or null where it is not drawn. */
  function spotOf(row) {
    if (row < 0 || scales === null) return null;
    const [px, py] = [scales.x.place(now.scene.xs[row]), scales.y.place(now.scene.ys[row])];
    return px >= 0 && px <= box.width && py >= 0 && py <= box.height ? [px + box.left, py + box.top] : null;
  }

  function placeAt(px, py) {
    return { x: scales.x.laid(px - box.left), y: scales.y.laid(py - box.top) };
  }

  function rowAt(px, py, reach) {
    const { view, scene } = now;
    if (scales === null) return -1;
    now.find ??= [[...scene.front, ...scene.later],
      view.showDominated ? [...scene.others, ...scene.outside] : []].map((rows) =>
      createNearest(rows, scene.xs, scene.ys, scene.domain.x.whole, scene.domain.y.whole));
    const at = placeAt(px, py);
    // A mark of the front is larger, and it is what people look for.
    for (const [place, find] of now.find.entries()) {
      const row = find(at.x, at.y, scales.x.factor, scales.y.factor, place === 0 ? reach : reach * 0.6);
      if (row >= 0 && spotOf(row) !== null) return row;
    }
    return -1;
  }

  function hover(px, py) {
    const row = rowAt(px, py, 12);
    if (row === hovered) return;
    hovered = row;
    plot.classList.toggle("is-over", row >= 0);
    frame.tip.hidden = row < 0;
    if (row >= 0) {
      replace(frame.tip, card(now.view, row));
      const [spotX, spotY] = spotOf(row);
      const { offsetWidth, offsetHeight } = frame.tip;
      const left = spotX + 16 + offsetWidth > plot.clientWidth ? spotX - 16 - offsetWidth : spotX + 16;
      const top = Math.min(Math.max(spotY - offsetHeight / 2, 4), plot.clientHeight - offsetHeight - 4);
      frame.tip.style.transform = `translate(${Math.max(left, 4)}px, ${Math.max(top, 4)}px)`;
    }
    drawLive();
  }

  function leave() {
    if (hovered < 0) return;
    hovered = -1;
    plot.classList.remove("is-over");
    frame.tip.hidden = true;
    drawLive();
  }

  function tap(px, py, event) {
    const row = rowAt(px, py, event.pointerType === "mouse" ? 12 : 22);
    if (row < 0) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey) onPick(row);
    else onFocus(row);
  }

  function valueAt(axis, pixel) {
    const each = scales[axis];
    const value = each.value(pixel);
    return roundedTo(value, Math.abs(each.value(pixel + 1) - value));
  }

  function selectBox(x0, y0, x1, y1) {
    const { view } = now;
    const across = [x0, x1].map((pixel) => valueAt("x", pixel - box.left)).sort((a, b) => a - b);
    const up = [y0, y1].map((pixel) => valueAt("y", pixel - box.top)).sort((a, b) => a - b);
    onSelect({ ranges: { [view.x]: across, [view.y]: up } });
  }

  function selectLasso(corners) {
    const { view } = now;
    const found = corners.map(([px, py]) => [valueAt("x", px - box.left), valueAt("y", py - box.top)]);
    onSelect({ lasso: { x: view.x, y: view.y, corners: found } });
  }

  function moved(change) {
    if (scales === null) return;
    change();
    leave();
    // A second event before the next frame has to count from what the first one made.
    measure();
    clearTimeout(settling);
    settling = setTimeout(() => { settling = 0; ask(); }, SETTLED_MS);
    ask();
  }

  function zoomMiddle(factor) {
    if (scales !== null) moved(() => part.zoom(factor, placeAt(box.left + box.width / 2, box.top + box.height / 2)));
  }

  function reset() {
    part.reset();
    leave();
    ask();
  }

  function setMode(name) {
    mode = name;
    plot.dataset.mode = name;
    for (const [each, button] of frame.modes) button.setAttribute("aria-pressed", String(each === name));
    if (now.view !== null) ask();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== plot) return;
    const done = KEYS[event.key]?.();
    if (done === undefined) return;
    event.preventDefault();
    drawLive();
  }

  const KEYS = {
    __proto__: null,
    ArrowRight: () => walk("x", 1), ArrowLeft: () => walk("x", -1), ArrowUp: () => walk("y", 1),
    ArrowDown: () => walk("y", -1), Home: () => walk("x", -Infinity), End: () => walk("x", Infinity),
    Enter: () => act(onFocus), " ": () => act(onPick), p: () => act(onPick), P: () => act(onPick),
    "+": () => (zoomMiddle(1.5), true), "=": () => (zoomMiddle(1.5), true), "-": () => (zoomMiddle(1 / 1.5), true),
    0: () => (reset(), true),
    Escape: () => {
      if (hands.isDragging()) hands.cancel();
      else onSelect(null);
      cursor = -1;
      leave();
      return true;
    },
  };

  function act(callback) {
    if (cursor >= 0) callback(cursor);
    else frame.spoken.textContent = "The arrow keys choose a point first.";
    return true;
  }

  /** To the next point of the front along an axis, as far as it goes. */
  function walk(axis, by) {
    const { view, scene } = now;
    if (scene === null || scene.front.length === 0) {
      frame.spoken.textContent = "The front is empty.";
      return true;
    }
    const values = axis === "x" ? scene.xs : scene.ys;
    const rows = [...scene.front].sort((a, b) => values[a] - values[b] || a - b);
    const place = rows.indexOf(cursor);
    const start = place < 0 ? (by > 0 ? -1 : rows.length) : place;
    const next = Math.min(Math.max(start + by, 0), rows.length - 1);
    cursor = rows[next];
    if (scales !== null && spotOf(cursor) === null) {
      moved(() => part.reveal({ x: scene.xs[cursor], y: scene.ys[cursor] }));
    }
    frame.spoken.textContent = sentence(view, cursor, `Point ${next + 1} of ${rows.length}`);
    return true;
  }

  return {
    update,
    png: () => pictureOf(plot, [frame.grid, canvas, frame.over], readTokens(plot).paper),
    shown: () => (scales === null ? null : { x: ends(scales.x), y: ends(scales.y) }),
    destroy() {
      cancelAnimationFrame(asked);
      clearTimeout(settling);
      observer.disconnect();
      endScheme();
      endPaper();
      frame.root.remove();
    },
  };
}

/** A view with what a page need not say. */
function completed(view) {
  return {
    colour: null, size: null, mask: null, focusRow: -1, pickedRows: [], showDominated: true, ...view,
    bounds: view.bounds ?? view.data.bounds, goals: view.goals ?? view.data.goals,
    label: (name) => (name === ORDER ? "evaluation" : view.label(name)),
    unit: (name) => (name === ORDER ? "" : view.unit(name) ?? ""),
  };
}

function ends({ domain, log }) {
  return domain.map((end) => (log ? 10 ** end : end));
}
