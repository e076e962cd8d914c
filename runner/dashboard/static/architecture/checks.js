// What a verification found, as a list: a sign and a word for each.

import { h } from "../core/dom.js";
import { count } from "../core/format.js";

const SIGNS = Object.freeze({
  ok: ["✓", "ok"],
  flagged: ["⚑", "flagged"],
  skipped: ["–", "skipped"],
  failed: ["✕", "failed"],
});

/** The checks of an export's result, [{check, state, found}], with a sentence that sums them up. */
export function checkList(checks) {
  const failed = checks.filter(({ state }) => state === "failed").length;
  const flagged = checks.filter(({ state }) => state === "flagged").length;
  const words =
    failed > 0
      ? `${count(failed, "check")} of ${checks.length} failed: do not use these files.`
      : flagged > 0
        ? `Verified; ${count(flagged, "check")} of ${checks.length} worth a look.`
        : `Verified: nothing is wrong in ${count(checks.length, "check")}.`;
  return h(
    "div",
    { class: "report" },
    h("p", { class: failed > 0 ? "problem" : "" }, words),
    h(
      "ul",
      { class: "checks" },
      checks.map(({ check, state, found }) => {
        const [sign, word] = SIGNS[state] ?? ["?", state];
        return h(
          "li",
          { class: `is-${state}`, "data-check": check },
          h("span", { class: "sign", "aria-hidden": "true" }, sign),
          h("span", { class: "word" }, word),
          h("span", {}, h("strong", {}, check), ` ${found}`),
        );
      }),
    ),
  );
}
