// What the answers of one layer are drawn as.  Owns which names of choices have a glyph: those of the families that
// Supernaut brings.  Any other answer, and any value that a glyph cannot show, stays text: nothing is left out.

const MIXERS = Object.freeze({
  softmax: "full",
  full: "full",
  windowed: "windowed",
  sliding: "windowed",
  linear: "linear",
  convolution: "convolution",
  short_convolution: "convolution",
  identity: "identity",
  recurrence: "recurrence",
  recurrent: "recurrence",
  lstm: "recurrence",
  gru: "recurrence",
  rnn: "recurrence",
  ssm: "recurrence",
  mamba: "recurrence",
  retention: "recurrence",
});
const SPANS = Object.freeze(["window", "span", "local_span", "kernel"]);
const RATIOS = Object.freeze(["mlp_ratio", "expansion"]);
const NOTCHES = Object.freeze(["rank", "sparsity"]);
const HEADS = Object.freeze({ heads: "query", key_heads: "key", value_heads: "value" });
const GATES = Object.freeze(["plain", "gated"]);
const CHANNEL_ATTENTION = Object.freeze(["none", "eca", "se"]);
const SEES_ALL = "full";
const LIKE_THE_SPAN = "same";

/** The parts of a layer: `answers` are its own by name, `above` those of what it stands in (its stage, the whole).
 *  {kind, value, width, ownWidth, heads: {query, key, value} (counts or null), ratio: {name, value} or null,
 *   spans: [{name, value: a number or "full"}], gate, attention, bits,
 *   notches: [{name, value}], rest: [[name, value]]}. */
export function rolesOf(answers, above = {}) {
  const left = new Map(Object.entries(answers));
  const take = (name, fits) => {
    if (!left.has(name) || !fits(left.get(name))) return null;
    const value = left.get(name);
    left.delete(name);
    return value;
  };
  const spans = SPANS.map((name) => ({
    name,
    value: take(name, (value) => isCount(value) || value === SEES_ALL),
  })).filter(({ value }) => value !== null);
  take("local_span", (value) => value === LIKE_THE_SPAN && spans.some(({ name }) => name === "span"));
  const heads = Object.fromEntries(Object.entries(HEADS).map(([name, kind]) => [kind, take(name, isCount)]));
  const ratios = RATIOS.map((name) => ({ name, value: take(name, isSize) })).filter(({ value }) => value !== null);
  const ownWidth = take("width", isCount);
  const mixer = take("mixer", () => true);
  const gate = take("feed_forward", (value) => GATES.includes(value));
  const attention = take("attention", (value) => CHANNEL_ATTENTION.includes(value));
  const bits = take("bits", isCount);
  const notches = NOTCHES.map((name) => ({ name, value: take(name, isSize) })).filter(
    ({ value }) => value !== null,
  );
  return Object.freeze({
    kind: kindOf(mixer, spans, above),
    value: mixer,
    width: ownWidth ?? (isCount(above.width) ? above.width : null),
    ownWidth,
    heads,
    spans,
    ratio: ratios[0] ?? null,
    gate,
    attention,
    bits,
    notches,
    rest: [...ratios.slice(1).map(({ name, value }) => [name, value]), ...left],
  });
}

function kindOf(mixer, spans, above) {
  if (mixer === null) {
    const convolves = spans.some(({ name }) => name === "kernel") || above.block === "convolution";
    return convolves ? "convolution" : "plain";
  }
  const kind = Object.hasOwn(MIXERS, mixer) ? MIXERS[mixer] : "other";
  const limited = spans.some(({ name, value }) => name === "span" && value !== SEES_ALL);
  return kind === "full" && limited ? "windowed" : kind; // every head sees so many tokens and no more
}

function isCount(value) {
  return Number.isInteger(value) && value > 0;
}

function isSize(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
