// How things are called for people.  What provenances mean, the API says.

/** Numbers by where they come from, the least certain first; each has a shape of its own in every chart. */
export const PROVENANCES = Object.freeze(["predicted", "computed", "inherited", "retrained", "exported"]);
export const SHAPES = Object.freeze({
  predicted: "hollow circle", computed: "circle", inherited: "circle", retrained: "square", exported: "diamond",
});

/** What a fidelity is called for people, the order of columns. */
export const FIDELITIES = Object.freeze({
  inherited: "shared weights",
  retrained: "retrained",
  exported: "exported file",
  alone: "trained alone",
});

/** Which way a metric is better. */
export const BETTER = Object.freeze({ minimize: "lower is better", maximize: "higher is better" });
