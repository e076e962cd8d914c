// Numbers, times and sizes in words.  Units come from the API; this says how many digits stand before them.

const PREFIXES = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];
const COUNTS = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
const SECONDS = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

/** A number with at most four digits that count. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "none";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(2);
  if (Number.isInteger(value) && size < 1e15) return value.toLocaleString("en");
  const digits = Math.min(Math.max(3 - Math.floor(Math.log10(size)), 0), 6);
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A number of this unit, short: `2.31 MB`, `0.042 ms`, `5.57 %` of a fraction, `1.9 M multiply-adds`. */
export function quantity(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return "not measured";
  if (unit === "bytes") return scaled(value, PREFIXES, "B");
  if (unit === "fraction") return `${number(Number((value * 100).toPrecision(4)))} %`; // 0.14 * 100 is a little more than 14
  if (Math.abs(value) >= 10_000) return `${scaled(value, COUNTS, "")} ${unit}`.trim();
  return `${number(value)} ${unit}`.trim();
}

/** A count with its noun: `1 study`, `3 studies`. */
export function count(value, one, many = `${one}s`) {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
}

/** A length of time in its two largest units. */
export function span(seconds) {
  const whole = Math.max(Math.round(seconds), 0);
  if (seconds < 10) return `${Math.max(seconds, 0).toFixed(1)} s`;
  const first = SECONDS.findIndex(([length]) => whole >= length);
  return SECONDS.slice(first, first + 2).map(([length, unit], place) => {
    const rest = place === 0 ? whole : whole % SECONDS[first][0];
    return [Math.floor(rest / length), unit];
  }).filter(([amount]) => amount > 0).map(([amount, unit]) => `${amount} ${unit}`).join(" ");
}

/** How long ago a time of the API was. */
export function age(iso, now = Date.now()) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (seconds < 60) return "just now";
  const [length, unit] = SECONDS.find(([each]) => seconds >= each);
  return `${Math.floor(seconds / length)} ${unit} ago`;
}

function scaled(value, steps, unit) {
  const [factor, name] = steps.find(([each]) => Math.abs(value) >= each) ?? [1, unit];
  return `${number(Number((value / factor).toPrecision(4)))} ${name}`.trim();
}
