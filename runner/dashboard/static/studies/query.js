// What the list is asked for, as it stands in the address, and the way back through its pages.

const TRAIL = "supernaut-pages";

export const STATES = Object.freeze(["created", "running", "complete", "interrupted", "failed"]);
export const SORTS = Object.freeze({
  "-created_at": "newest first", created_at: "oldest first", "-updated_at": "last changed first",
  name: "by name", "-name": "by name, backwards",
});
export const NEWEST = "-created_at";
export const PAGE = 25;

/** What stands in the address when nothing is asked for. */
export const EVERYTHING = Object.freeze({ search: "", state: "", sort: NEWEST, cursor: "" });

const text = (key, usual) => ({ key, read: (given) => given, write: (value) => (value === usual ? null : value) });
const one = (key, usual, allowed) => ({
  ...text(key, usual), read: (given) => (allowed.includes(given) ? given : undefined),
});

/** How `keepInAddress` reads and writes it. */
export const FIELDS = Object.freeze({
  search: text("search", ""),
  state: one("state", "", STATES),
  sort: one("sort", NEWEST, Object.keys(SORTS)),
  cursor: text("cursor", ""),
});

/** Whether only some studies are asked for. */
export function isFiltered({ search, state }) {
  return search !== "" || state !== "";
}

/** The cursor of the page before this one; null where this tab has not come from there.  Pages only lead forward. */
export function pageBefore(cursor) {
  return trail()[cursor] ?? null;
}

/** Remember that the page at `cursor` was followed by the one at `next`. */
export function rememberPage(cursor, next) {
  try {
    sessionStorage.setItem(TRAIL, JSON.stringify({ ...trail(), [next]: cursor }));
  } catch {
    return; // nothing is kept: there is a way to the first page
  }
}

function trail() {
  try {
    return JSON.parse(sessionStorage.getItem(TRAIL) ?? "{}");
  } catch {
    return {};
  }
}
