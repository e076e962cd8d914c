// One or several architectures as rows that stand side by side: what holds for the whole, then place by place.  Owns
// which rows there are, and which answers differ.

/** Rows of several architecture documents of the API, first the whole, then each place that any of them has, in order.
 *  A row: {key, place, label, depth (0 the whole), inner (holds other places), cells}; `cells` has for each document
 *  {answers, above (those of the places around it)} or null where it lacks the place; `differing` are names of choices
 *  of this place whose answers are not the same in all, and `names` their full names; `partly` says that some lack the
 *  place, and `among` are the names that differ among the others. */
export function rowsOf(documents) {
  const maps = documents.map((document) => new Map(document.places.map((entry) => [keyOf(entry.place), entry])));
  const places = new Map(
    documents.flatMap((document) => document.places.map(({ place }) => [keyOf(place), place])),
  );
  const ordered = [...places].sort(([, one], [, other]) => compare(one, other));
  return ordered.map(([key, place]) => {
    const cells = maps.map((map) =>
      map.has(key) ? { answers: map.get(key).answers, above: around(map, place) } : null,
    );
    const differing = differences(cells);
    const present = cells.filter((cell) => cell !== null);
    return Object.freeze({
      key,
      place,
      label: place.length === 0 ? "the whole" : place.at(-1).join(" "),
      depth: place.length,
      inner:
        ordered.some(([, other]) => other.length === place.length + 1 && within(other, place)) && place.length > 0,
      cells,
      differing,
      partly: place.length > 0 && present.length < cells.length,
      among: differences(present),
      names: differing.map((name) => `${prefixOf(place)}${name}`),
    });
  });
}

/** Whether this place, or one that it stands in or that stands in it, has an answer that differs. */
export function concerned(row, rows) {
  return rows.some(
    (other) => other.differing.length > 0 && (other === row || (within(other.place, row.place) && row.depth > 0)),
  );
}

/** `layers.1.` for [["layer", 1]]: what the names of its choices begin with. */
export function prefixOf(place) {
  return place.map(([name, index]) => `${name}s.${index}.`).join("");
}

function differences(cells) {
  const names = [...new Set(cells.flatMap((cell) => (cell === null ? [] : Object.keys(cell.answers))))];
  return names.filter((name) => {
    const [first, ...others] = cells.map((cell) =>
      cell !== null && Object.hasOwn(cell.answers, name) ? JSON.stringify(cell.answers[name]) : null,
    );
    return others.some((other) => other !== first);
  });
}

function around(map, place) {
  const found = {};
  for (let length = 0; length < place.length; length += 1) {
    Object.assign(found, map.get(keyOf(place.slice(0, length)))?.answers ?? {});
  }
  return found;
}

function within(place, outer) {
  return (
    place.length > outer.length &&
    outer.every(([name, index], at) => place[at][0] === name && place[at][1] === index)
  );
}

function compare(one, other) {
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) {
    if (one[at][0] !== other[at][0]) return one[at][0] < other[at][0] ? -1 : 1;
    if (one[at][1] !== other[at][1]) return one[at][1] - other[at][1];
  }
  return one.length - other.length;
}

function keyOf(place) {
  return JSON.stringify(place);
}
