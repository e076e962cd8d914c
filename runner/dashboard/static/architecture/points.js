// Which architectures are compared: a list of digests that stands in the address.

export const FEWEST = 2;
export const MOST = 4;
const DIGEST = /^(knee|[0-9a-f]{4,64})$/;

/** The digests in an address's `points`, each once, and the entries that are none: {digests, wrong}. */
export function readPoints(text) {
  const entries = [
    ...new Set(
      (text ?? "")
        .split(",")
        .map((each) => each.trim())
        .filter((each) => each !== ""),
    ),
  ];
  return {
    digests: entries.filter((each) => DIGEST.test(each)),
    wrong: entries.filter((each) => !DIGEST.test(each)),
  };
}

/** The list with the one at `from` moved by `step` places; the same list where it cannot be. */
export function moved(digests, from, step) {
  const to = from + step;
  if (to < 0 || to >= digests.length) return digests;
  const found = [...digests];
  [found[from], found[to]] = [found[to], found[from]];
  return found;
}

/** What is wrong with a list, in words, or null. */
export function listProblem({ digests, wrong }) {
  if (wrong.length > 0) {
    return `This is no digest of an architecture: ${wrong.join(", ")}. A digest has 4 to 64 of the signs 0-9 and a-f.`;
  }
  const wanted = `To compare takes ${FEWEST} to ${MOST} architectures, and the address names`;
  if (digests.length < FEWEST) return `${wanted} ${digests.length === 0 ? "none" : "one"}. Add some above.`;
  if (digests.length > MOST)
    return `${wanted} ${digests.length}. The first ${MOST} are shown; remove or add above.`;
  return null;
}
