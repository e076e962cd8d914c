// Colours of the charts: tokens from the style sheet as a canvas needs them, and scales for numbers and for choices.
// The scales are laid out in OKLCH, where equal steps look equal.

import { h } from "../core/dom.js";

export const MOST_KINDS = 8; // colours that people still tell apart
export const RAMP_STEPS = 64;

// Lightness, chroma, hue at both ends: more is further from the paper in either scheme.
const RAMP = {
  light: { lightness: [0.8, 0.3], chroma: [0.13, 0.12], hue: [100, 290] },
  dark: { lightness: [0.42, 0.93], chroma: [0.12, 0.12], hue: [290, 100] },
};
// Chosen so that the two nearest are as far apart as can be, for those who see all colours and for those who do not see
// red, green or blue; the first ones are the farthest apart.
const KINDS = {
  light: [[0.41, 0.08, 243], [0.69, 0.17, 52], [0.69, 0.15, 300], [0.51, 0.08, 75], [0.32, 0.12, 16], [0.68, 0.1, 172],
    [0.33, 0.18, 292], [0.54, 0.16, 283]],
  dark: [[0.75, 0.13, 247], [0.95, 0.11, 110], [0.58, 0.12, 104], [0.58, 0.15, 271], [0.8, 0.15, 76], [0.69, 0.08, 6],
    [0.87, 0.09, 197], [0.58, 0.17, 347]],
};

/** The scheme that the page shows now: "light" or "dark". */
export function scheme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Calls `listener` whenever the scheme changes; returns what ends it. */
export function onScheme(listener) {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(listener);
  query.addEventListener("change", listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => {
    query.removeEventListener("change", listener);
    observer.disconnect();
  };
}

/** The chart's tokens under `host` as [red, green, blue], 0 to 255 each. */
export function readTokens(host) {
  const probe = h("span", { class: "chart-probe" });
  host.append(probe);
  const found = {};
  for (const name of ["front", "faded", "later", "knee", "grid", "ink", "soft", "paper", "out"]) {
    probe.style.color = `var(--chart-${name})`;
    found[name] = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  }
  probe.remove();
  return Object.freeze(found);
}

/** [red, green, blue] as a CSS colour. */
export function css([red, green, blue], alpha = 1) {
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

/** Colours from the least to the most, `RAMP_STEPS` of them. */
export function ramp(name = scheme()) {
  const { lightness, chroma, hue } = RAMP[name];
  const between = ([from, to], share) => from + (to - from) * share;
  return Array.from({ length: RAMP_STEPS }, (_, step) => {
    const share = step / (RAMP_STEPS - 1);
    return oklch(between(lightness, share), between(chroma, share), between(hue, share));
  });
}

/** One colour for each of at most `MOST_KINDS` kinds. */
export function kinds(name = scheme()) {
  return KINDS[name].map((each) => oklch(...each));
}

/** OKLCH (Ottosson 2020) as sRGB; chroma that the screen does not have is cut off. */
function oklch(lightness, chroma, hue) {
  const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((linear) => {
    const value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
    return Math.round(Math.min(Math.max(value, 0), 1) * 255);
  });
}
