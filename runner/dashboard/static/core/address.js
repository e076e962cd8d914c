// Keeps part of a page's state in its address, so that it can be sent to somebody, and so that going back works.

/** `fields`: by name {key, read(text) -> value, write(value) -> text or null for the default}.  Reads the address into
 *  the store now and at every step back or forward; writes it at every change, with a step in the history only for the
 *  names in `steps`. */
export function keepInAddress(store, fields, { steps = [] } = {}) {
  const names = Object.keys(fields);
  const initial = store.get();
  let reading = false;

  function read() {
    const query = new URLSearchParams(location.search);
    const found = {};
    for (const name of names) {
      const text = query.get(fields[name].key);
      found[name] = initial[name];
      if (text !== null) {
        const value = fields[name].read(text);
        if (value !== undefined) found[name] = value;
      }
    }
    reading = true;
    store.set(found);
    reading = false;
  }

  read();
  addEventListener("popstate", read);
  store.subscribe(names, (state, changed) => {
    if (reading) return;
    const query = new URLSearchParams(location.search);
    for (const name of names) {
      const text = fields[name].write(state[name]);
      if (text === null) query.delete(fields[name].key);
      else query.set(fields[name].key, text);
    }
    const target = `${location.pathname}${query.size > 0 ? `?${query}` : ""}${location.hash}`;
    if (target === `${location.pathname}${location.search}${location.hash}`) return;
    if (changed.some((name) => steps.includes(name))) history.pushState(null, "", target);
    else history.replaceState(null, "", target);
  });
}
