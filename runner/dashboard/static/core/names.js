// How things are called for people: states, stages, provenances.  What they mean, the API says.

/** A state as a sign and a word; the sign alone never tells it. */
export const STATE_SIGNS = Object.freeze({
  created: "○", running: "▶", complete: "✓", failed: "✕", interrupted: "‖",
  queued: "○", cancelled: "⊘", pending: "○",
});

/** Numbers by where they come from, the least certain first; each has a shape of its own in every chart. */
export const PROVENANCES = Object.freeze(["predicted", "computed", "inherited", "retrained", "exported"]);
export const SHAPES = Object.freeze({
  predicted: "hollow circle", computed: "circle", inherited: "circle", retrained: "square", exported: "diamond",
});
