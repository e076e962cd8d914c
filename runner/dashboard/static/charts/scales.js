// Axes as arithmetic: how a value becomes a place, and which round values get a line.  Logarithmic axes have base 10.

const BYTES = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];
const TIMES = [[172_800, 86_400, "d"], [7_200, 3_600, "h"], [120, 60, "min"]];
const COUNTS = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];

/** Values as they are laid out: themselves, or their logarithms, NaN where there is none. */
export function laidOut(values, log) {
  if (!log) return values;
  const found = new Float64Array(values.length);
  for (let row = 0; row < found.length; row += 1) found[row] = values[row] > 0 ? Math.log10(values[row]) : NaN;
  return found;
}

/** The smallest and the largest number of these, or null where there is none. */
export function extent(values, wanted = null) {
  let [low, high] = [Infinity, -Infinity];
  for (let row = 0; row < values.length; row += 1) {
    const value = values[row];
    if (wanted !== null && wanted[row] !== 1) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** An axis from `domain` (laid-out values) to `range` (pixels): {place(laid), of(value), value(pixel), laid(pixel)}. */
export function scale(domain, range, log = false) {
  const factor = (range[1] - range[0]) / (domain[1] - domain[0]);
  const laid = (pixel) => domain[0] + (pixel - range[0]) / factor;
  return Object.freeze({
    domain, range, log, factor, offset: range[0] - domain[0] * factor, laid,
    place: (at) => range[0] + (at - domain[0]) * factor,
    value: (pixel) => (log ? 10 ** laid(pixel) : laid(pixel)),
    of: (value) => range[0] + ((log ? Math.log10(value) : value) - domain[0]) * factor,
  });
}

/** A domain with room at both ends, never of no length. */
export function padded([low, high], share = 0.05) {
  const length = high - low || Math.abs(high) * 0.2 || 1;
  return [low - share * length, high + share * length];
}

/** Round values inside a domain (laid-out), about `wanted` of them: [{at (laid-out), value}]; round in the unit that
 *  they are written in, so many of the metric's own as `factor` says. */
export function ticks(domain, log, wanted, factor = 1) {
  if (log && domain[1] - domain[0] > 0.9) {
    const found = decades(domain, wanted);
    if (found.length > 1) return found;
  }
  const ends = log ? domain.map((end) => 10 ** end) : domain;
  const step = roundStep((ends[1] - ends[0]) / factor / Math.max(wanted, 1)) * factor;
  const found = [];
  const first = Math.ceil(ends[0] / step - 1e-9);
  for (let place = first; place * step <= ends[1] + step * 1e-9 && found.length < 50; place += 1) {
    const value = Number((place * step).toPrecision(12));
    if (!log || value > 0) found.push({ at: log ? Math.log10(value) : value, value });
  }
  return found;
}

/** The unit that an axis is written in, so that its numbers are short: {factor, unit}; `size` is its largest value. */
export function axisUnit(unit, size) {
  if (unit === "fraction") return { factor: 0.01, unit: "%" };
  if (unit === "bytes") {
    const [factor, name] = BYTES.find(([each]) => size >= each) ?? BYTES.at(-1);
    return { factor, unit: name };
  }
  if (unit === "s") {
    const found = TIMES.find(([least]) => size >= least);
    if (found !== undefined) return { factor: found[1], unit: found[2] };
  }
  if (size < 10_000) return { factor: 1, unit };
  const [factor, prefix] = COUNTS.find(([each]) => size >= each) ?? COUNTS.at(-1);
  return { factor, unit: `${prefix} ${unit}`.trim() };
}

/** The ticks of an axis {domain, log} in the unit it is written in: [ticks, factor, unit]. */
export function axisTicks({ domain, log }, unit, wanted) {
  const size = Math.max(...domain.map((end) => Math.abs(log ? 10 ** end : end)));
  const written = axisUnit(unit, size);
  return [ticks(domain, log, wanted, written.factor), written.factor, written.unit];
}

/** What stands at each tick, in the unit of `axisUnit`; with as many digits as tell neighbours apart. */
export function tickWords(found, factor) {
  const values = found.map(({ value }) => value / factor);
  const gaps = values.slice(1).map((value, place) => Math.abs(value - values[place])).filter((gap) => gap > 0);
  const even = gaps.length > 0 && Math.max(...gaps) < Math.min(...gaps) * 1.5;
  const slack = 0.01 * Math.min(...gaps);
  const isEnough = (places) => values.every((value) => Math.abs(Number(value.toFixed(places)) - value) < slack);
  const digits = even ? [0, 1, 2, 3, 4, 5, 6].find(isEnough) ?? 6 : 0;
  return values.map((value) => {
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential().replace("e+", "e");
    if (!even) return Number(value.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 6 });
    return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  });
}

/** A number with no more digits than a pixel of this length can tell. */
export function roundedTo(value, pixel) {
  if (!(pixel > 0) || !Number.isFinite(value)) return value;
  const unit = 10 ** Math.floor(Math.log10(pixel) - 1);
  return Number((Math.round(value / unit) * unit).toPrecision(12));
}

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const share = rough / power;
  return (share <= 1.0001 ? 1 : share <= 2.0001 ? 2 : share <= 2.5001 ? 2.5 : share <= 5.0001 ? 5 : 10) * power;
}

function decades([low, high], wanted) {
  const span = high - low;
  const parts = span * 3 <= wanted + 1 ? [1, 2, 5] : span * 2 <= wanted + 1 ? [1, 3] : [1];
  const every = Math.max(1, Math.ceil(span / Math.max(wanted, 1)));
  const found = [];
  for (let power = Math.floor(low); power <= high; power += 1) {
    if (((power % every) + every) % every !== 0) continue;
    for (const part of parts) {
      const value = Number(`${part}e${power}`);
      const at = Math.log10(value);
      if (at >= low - 1e-9 && at <= high + 1e-9) found.push({ at, value });
    }
  }
  return found;
}
