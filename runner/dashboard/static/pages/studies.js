// The list of studies: asked for page by page, kept in the address, changed in place as things happen.

import { keepInAddress } from "../core/address.js";
import { ApiProblem, get } from "../core/api.js";
import { byId, h, replace } from "../core/dom.js";
import { count } from "../core/format.js";
import { registerKeys } from "../core/keys.js";
import { follow } from "../core/live.js";
import { panel } from "../core/panel.js";
import { problemWords } from "../core/problems.js";
import { maySubmit } from "../core/rights.js";
import { createStore } from "../core/store.js";
import { actionsOf } from "../studies/actions.js";
import { createCourses } from "../studies/courses.js";
import { emptyList, noHits } from "../studies/empty.js";
import { createNews } from "../studies/news.js";
import {
  EVERYTHING, FIELDS, isFiltered, NEWEST, PAGE, pageBefore, rememberPage, SORTS, STATES,
} from "../studies/query.js";
import { createRow, markGone, updateRow } from "../studies/row.js";
import { createTable } from "../studies/table.js";

const TYPING_MS = 250;
const LOOK_MS = 10_000; // evaluations are no events: what runs is looked at now and then

const store = createStore(EVERYTHING);
const courses = createCourses();
const rows = new Map(); // id -> {row, study}
const unseen = new Set(); // ids of studies that were made since
const table = createTable({ order: (sort) => store.set({ sort, cursor: "" }) });
let session = null;
let several = false; // owners

const told = {
  changed: (study) => show(study),
  deleted: (study) => {
    say(`${study.name} is deleted.`);
    byId("search").focus();
    list.refresh();
  },
  newest: (study) => rows.get(study.id)?.study ?? study,
  failed: (error, study) => say(`${study.name}: ${problemWords(error)}`),
};
const news = createNews({
  arrived: show,
  gone: (id) => {
    const entry = rows.get(id);
    if (entry === undefined) return;
    rows.delete(id);
    markGone(entry.row);
  },
});
const list = panel(byId("list"), { load, draw });

async function load(signal) {
  const { search, state, sort, cursor } = store.get();
  session ??= await get("/session", {}, { signal });
  try {
    return await get("/studies", { limit: PAGE, search, state, sort, cursor }, { signal });
  } catch (error) {
    // An address that somebody kept while the filter changed: its first page is better than none.
    const stale = error instanceof ApiProblem && ["bad_cursor", "cursor_of_another_query"].includes(error.code);
    if (!stale || cursor === "") throw error;
    store.set({ cursor: "" });
    return get("/studies", { limit: PAGE, search, state, sort }, { signal });
  }
}

function draw(body, { items, next_cursor: next }) {
  const query = store.get();
  byId("new").hidden = !maySubmit(session);
  byId("filters").hidden = items.length === 0 && !isFiltered(query) && query.cursor === "";
  several = items.some(({ owner }) => owner !== session.owner);
  if (items.length === 0) {
    rows.clear();
    replace(body, isFiltered(query) || query.cursor !== "" ? noHits(clear) : emptyList(maySubmit(session)));
  } else {
    table.show(query.sort, maySubmit(session));
    place(items);
    if (!body.contains(table.box)) replace(body, table.box);
  }
  page(next, items.length);
}

/** The rows of these studies in this order; those that are there already stay. */
function place(items) {
  const before = new Map(rows);
  rows.clear();
  const placed = items.map((study) => {
    const old = before.get(study.id);
    const row = old?.row ?? createRow(study, options());
    rows.set(study.id, { row, study });
    if (old !== undefined) updateRow(row, study, options());
    unseen.delete(study.id);
    return row;
  });
  placed.forEach((row, index) => {
    if (table.body.children[index] !== row) table.body.insertBefore(row, table.body.children[index] ?? null);
  });
  while (table.body.children.length > placed.length) table.body.lastChild.remove();
  placed.forEach((row) => courses.watch(row.querySelector(".course")));
  tellFresh();
}

function show(study) {
  const entry = rows.get(study.id);
  if (entry === undefined) return;
  updateRow(entry.row, study, options());
  courses.watch(entry.row.querySelector(".course"));
  rows.set(study.id, { row: entry.row, study });
}

function options() {
  return { owners: several, actions: maySubmit(session) ? (study) => actionsOf(study, told) : null };
}

function page(next, shown) {
  const { cursor } = store.get();
  const nav = byId("paging");
  nav.hidden = cursor === "" && next === null;
  const before = cursor === "" ? null : pageBefore(cursor);
  const go = (target) => () => {
    if (target === next) rememberPage(cursor, next);
    store.set({ cursor: target });
    byId("main").scrollIntoView();
    byId("main").focus();
  };
  replace(nav,
    h("button", { type: "button", class: "button", disabled: cursor === "", onclick: go(before ?? "") },
      cursor !== "" && before === null ? "First page" : "Previous page"),
    h("span", { class: "hint" }, `${count(shown, "study", "studies")} on this page`),
    h("button", { type: "button", class: "button", disabled: next === null, onclick: go(next) }, "Next page"));
}

function say(words) {
  byId("said").textContent = words;
}

function clear() {
  store.set(EVERYTHING);
  byId("search").focus();
}

function tellFresh() {
  const button = byId("fresh");
  button.hidden = unseen.size === 0;
  button.textContent = `${count(unseen.size, "new study", "new studies")}: show`;
}

function happened({ kind, study_id: id }) {
  if (kind === "resync") {
    list.refresh();
  } else if (rows.has(id)) {
    news.want(id);
  } else if (kind === "study.created") {
    unseen.add(id);
    if (rows.size === 0 && !isFiltered(store.get())) list.refresh(); // nothing is there that could jump
    else tellFresh();
  }
}

function fillFilters() {
  replace(byId("state"), h("option", { value: "" }, "every state"),
    STATES.map((name) => h("option", { value: name }, name)));
  replace(byId("sort"), Object.entries(SORTS).map(([value, words]) => h("option", { value }, words)));
  let timer = null;
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => store.set({ search: byId("search").value.trim(), cursor: "" }), TYPING_MS);
  });
  byId("state").addEventListener("change", () => store.set({ state: byId("state").value, cursor: "" }));
  byId("sort").addEventListener("change", () => store.set({ sort: byId("sort").value, cursor: "" }));
  byId("fresh").addEventListener("click", () => {
    unseen.clear();
    if (store.get().cursor === "" && store.get().sort === NEWEST && !isFiltered(store.get())) list.refresh();
    else store.set(EVERYTHING);
  });
}

function showFilters({ search, state, sort }) {
  if (document.activeElement !== byId("search")) byId("search").value = search;
  byId("state").value = state;
  byId("sort").value = sort;
}

/** Focus the name in the next row, or the one before. */
function step(by) {
  const links = [...table.body.querySelectorAll("th a")];
  const here = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[Math.min(Math.max(here + by, 0), links.length - 1)]?.focus();
}

registerKeys([
  { key: "/", words: "search", act: () => byId("search").focus() },
  { key: "n", words: "new study", act: () => { if (maySubmit(session)) location.assign("/new"); } },
  { key: "j", words: "next study", act: () => step(1) },
  { key: "k", words: "study before", act: () => step(-1) },
]);
fillFilters();
keepInAddress(store, FIELDS, { steps: ["cursor", "state", "sort"] });
showFilters(store.get());
store.subscribe(Object.keys(EVERYTHING), (state) => {
  showFilters(state);
  say("");
  list.refresh({ anew: true });
});
follow(null, happened);
setInterval(() => {
  if (document.hidden) return;
  for (const [id, { row, study }] of rows) {
    updateRow(row, study, options()); // how long ago it began
    if (study.state === "running") news.want(id);
  }
}, LOOK_MS);
list.refresh();
