// What happened: events, failures with their reasons, and who works on the study.

import { get } from "../core/api.js";
import { byId, h, replace } from "../core/dom.js";
import { fact } from "../core/facts.js";
import { age, count } from "../core/format.js";
import { panel } from "../core/panel.js";

const SHOWN = 30;
const QUIET = new Set(["stage.progress"]); // the progress bar tells these

/** Make the panels of events, failures and resources; the functions that read them anew, by name. */
export function createHappenings(store, path) {
  const events = panel(byId("events-panel"), {
    load: (signal) => get(`${path}/history`, { limit: 200 }, { signal }),
    empty: (found) => (found.items.length === 0 ? "Nothing has happened yet." : null),
    draw(body, found) {
      const told = found.items.filter((event) => !QUIET.has(event.kind)).slice(0, SHOWN);
      replace(body, h("ol", { class: "events", tabindex: "0", "aria-label": "Events, the newest first" }, told.map((event) => h("li", {},
        h("time", { datetime: event.time, title: event.time }, age(event.time)), " ",
        h("strong", {}, event.kind), " ", h("span", { class: "words" }, sentence(event))))));
    },
  });
  const failures = panel(byId("failures-panel"), {
    load: (signal) => get(`${path}/evaluations`, { filter: "state=failed", sort: "-sequence", limit: SHOWN }, { signal }),
    empty: (found) => (found.items.length === 0 ? "No evaluation has failed." : null),
    draw(body, found) {
      const total = store.get().study?.counts.failed ?? found.items.length;
      replace(body, h("p", {}, total > found.items.length ? `The last ${found.items.length} of ${count(total, "failure")}:` : `${count(total, "failure")}:`),
        h("ul", { class: "failures", tabindex: "0", "aria-label": "Failures, the newest first" }, found.items.map((each) => h("li", {},
          h("code", {}, each.digest), " ", h("strong", {}, each.failure?.kind ?? "failed"), " ",
          h("span", { class: "words" }, each.failure?.message ?? "")))));
    },
  });
  const resources = panel(byId("resources-panel"), {
    load: (signal) => Promise.all([get("/workers", {}, { signal }), get("/devices", {}, { signal })]),
    empty: () => null,
    draw(body, [workers, devices]) {
      const { study } = store.get();
      const own = workers.items.filter((worker) => worker.study_id === study.id);
      const alive = workers.items.filter((worker) => worker.alive);
      const device = devices.items.find((each) => each.id === study.device_id);
      replace(body, h("dl", { class: "facts" },
        fact("worked on by", own.length > 0 ? own.map((worker) => `${worker.name} on ${worker.host}`).join(", ")
          : study.desired_state === null ? "a terminal: it was begun with `supernaut run`" : "nobody now"),
        fact("workers alive", alive.length === 0 ? "none: start one with `supernaut worker`" : `${alive.length} of ${workers.items.length}`),
        fact("workers of the search", String(study.spec.search?.workers ?? "unknown")),
        fact("training processes", String(study.spec.train?.ranks ?? "unknown")),
        fact("device", device === undefined ? "not measured yet" : device.name),
        device !== undefined && fact("processor", [device.description.processor, device.description.cores && count(device.description.cores, "core")].filter(Boolean).join(", ") || "unknown")));
    },
  });
  return { events, failures, resources };
}

function sentence({ kind, payload }) {
  if (payload.from !== undefined && payload.to !== undefined) {
    return `${payload.stage ?? ""} ${payload.from} → ${payload.to}${payload.reason ? `: ${payload.reason}` : ""}`.trim();
  }
  if (kind === "note") return String(payload.message ?? "");
  const parts = Object.entries(payload).filter(([, value]) => value !== null && typeof value !== "object")
    .map(([name, value]) => `${name} ${value}`);
  return parts.join(", ").slice(0, 400);
}
