// What was typed, kept while this tab lives: a reload, a lost server or an ended session lose nothing.

const KEY = `supernaut-draft:${location.search}`; // a clone and an empty form are different drafts

/** {values, yaml, tab, sent: {body, key}, at} as it was kept, or null. */
export function readDraft() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    return typeof kept?.values === "object" ? kept : null;
  } catch {
    return null;
  }
}

/** Keeps it, with the time. */
export function keepDraft(draft) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ...draft, at: Date.now() }));
  } catch {
    return; // a browser that keeps nothing, or is full: the page itself still holds everything
  }
}

/** Forgets it. */
export function dropDraft() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    return;
  }
}
