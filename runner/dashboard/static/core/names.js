// How things are called for people: provenances.  What they mean, the API says.

/** Numbers by where they come from, the least certain first; each has a shape of its own in every chart. */
export const PROVENANCES = Object.freeze(["predicted", "computed", "inherited", "retrained", "exported"]);
export const SHAPES = Object.freeze({
  predicted: "hollow circle", computed: "circle", inherited: "circle", retrained: "square", exported: "diamond",
});
