// The hypervolume of each study in view, read when its row is seen, a few at a time.

import { ApiProblem, get } from "../core/api.js";
import { h, replace } from "../core/dom.js";

const AT_ONCE = 4;

/** Watches cells with `data-course="ID EVALUATIONS"`; `watch(cell)` for each new cell. */
export function createCourses() {
  const known = new Map(); // what `data-course` says -> values
  const waiting = new Set();
  let reading = 0;
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) waiting.add(target);
      else waiting.delete(target);
    }
    next();
  });

  function next() {
    for (const cell of waiting) {
      if (reading >= AT_ONCE) return;
      waiting.delete(cell);
      watcher.unobserve(cell);
      if (cell.isConnected) fill(cell);
    }
  }

  async function fill(cell) {
    const key = cell.dataset.course;
    const [id, evaluations] = key.split(" ");
    if (Number(evaluations) === 0) {
      await show(cell, []);
      return;
    }
    reading += 1;
    try {
      if (!known.has(key)) known.set(key, await course(id));
      await show(cell, known.get(key));
    } catch {
      replace(cell, h("span", { class: "note" }, "not read")); // the list itself says what is wrong with the server
    } finally {
      reading -= 1;
      next();
    }
  }

  return { watch: (cell) => watcher.observe(cell) };
}

async function course(id) {
  try {
    const { hypervolume } = await get(`/studies/${id}/hypervolume`);
    return hypervolume.filter((value) => value !== null);
  } catch (error) {
    if (error instanceof ApiProblem && (error.status === 404 || error.status === 409)) return []; // gone, or no front
    throw error;
  }
}

/** Charts are read where there is something to draw: most lists begin with studies that have no course yet. */
async function show(cell, values) {
  if (values.length < 2) {
    replace(cell, h("span", { class: "note" }, "none yet"));
    return;
  }
  const { sparkline } = await import("../charts/lines.js");
  replace(cell, sparkline(values));
}
