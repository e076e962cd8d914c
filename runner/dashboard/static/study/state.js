// What the panels of a study's page share, and which of it stands in the address.

import { keepInAddress } from "../core/address.js";
import { createStore } from "../core/store.js";
import { EMPTY, read as readSelection, write as writeSelection } from "../data/selection.js";
import { ORDER } from "../data/study_data.js";

const DIGEST = /^[0-9a-f]{4,64}$/;
const MOST_PICKED = 4; // side by side

/** The store of the page.  `picked`: digests that are to be compared; `point`: the digest that is looked at;
 *  `within`: {metric, most} of the question "which is best within ...", or null; `reading`: whether there is more
 *  than the data has yet. */
export function createState() {
  const store = createStore({
    study: null, metrics: null, data: null, session: null, reading: false,
    x: null, y: null, colour: null, size: null, logX: false, logY: false, dominated: true,
    selection: EMPTY, picked: Object.freeze([]), point: null, within: null,
    sort: null, columns: null, onlyFront: false,
  });
  keepInAddress(store, FIELDS, { steps: ["point"] });
  return store;
}

/** The digests with this one added, or taken away if it was there; a fifth takes the place of the first. */
export function toggled(picked, digest) {
  if (picked.includes(digest)) return Object.freeze(picked.filter((each) => each !== digest));
  return Object.freeze([...picked, digest].slice(-MOST_PICKED));
}

/** The digest that is looked at: the chosen one, or the knee until somebody chooses; null without either. */
export function shownPoint({ point, data }) {
  if (point !== null || data === null || data.kneeRow < 0) return point;
  return data.digests[data.kneeRow];
}

/** The axes that show a study best before anybody chose: `metrics` are the documents of GET /metrics. */
export function firstAxes(metrics) {
  const objectives = metrics.filter((metric) => metric.objective).map((metric) => metric.metric);
  const others = metrics.filter((metric) => !metric.objective && metric.computed).map((metric) => metric.metric);
  const [y, x, size] = [...objectives, ...others];
  return { x: x ?? ORDER, y, size: objectives.length > 2 ? size : null, colour: null };
}

const name = { read: (text) => (text.length <= 128 ? text : undefined), write: (value) => value };
const flag = (usual) => ({
  read: (text) => (text === "1" ? true : text === "0" ? false : undefined),
  write: (value) => (value === usual ? null : value ? "1" : "0"),
});

const FIELDS = {
  x: { key: "x", ...name },
  y: { key: "y", ...name },
  colour: { key: "colour", ...name },
  size: { key: "size", ...name },
  logX: { key: "logx", ...flag(false) },
  logY: { key: "logy", ...flag(false) },
  dominated: { key: "dominated", ...flag(true) },
  onlyFront: { key: "frontonly", ...flag(false) },
  selection: { key: "select", read: readSelection, write: writeSelection },
  point: { key: "point", read: (text) => (DIGEST.test(text) ? text : undefined), write: (value) => value },
  picked: {
    key: "pick",
    read: (text) => {
      const found = text.split(",");
      return found.length <= MOST_PICKED && found.every((each) => DIGEST.test(each)) ? Object.freeze(found) : undefined;
    },
    write: (value) => (value.length === 0 ? null : value.join(",")),
  },
  within: {
    key: "within",
    read: (text) => {
      const at = text.lastIndexOf(":");
      const most = Number(text.slice(at + 1));
      return at > 0 && Number.isFinite(most) ? Object.freeze({ metric: text.slice(0, at), most }) : undefined;
    },
    write: (value) => (value === null ? null : `${value.metric}:${value.most}`),
  },
  sort: { key: "sort", ...name },
  columns: {
    key: "columns",
    read: (text) => (text.length <= 2000 ? Object.freeze(text.split(",")) : undefined),
    write: (value) => (value === null ? null : value.join(",")),
  },
};
