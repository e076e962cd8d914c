// The state that the panels of one page share: named values, and who wants to hear of which.

/** `get()` gives a frozen object; `set({name: value})` replaces values and tells those who listen, once, after all
 *  are set; `subscribe(names, listener)` calls `listener(state, changed)` and returns what ends it. */
export function createStore(initial) {
  let state = Object.freeze({ ...initial });
  const listeners = new Set();

  function set(patch) {
    const changed = Object.keys(patch).filter((name) => {
      if (!(name in state)) throw new Error(`the page has no state called ${name}`);
      return !Object.is(state[name], patch[name]);
    });
    if (changed.length === 0) return;
    state = Object.freeze({ ...state, ...patch });
    for (const { names, listener } of [...listeners]) {
      if (changed.some((name) => names.has(name))) listener(state, changed);
    }
  }

  function subscribe(names, listener) {
    const entry = { names: new Set(names), listener };
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  return { get: () => state, set, subscribe };
}
