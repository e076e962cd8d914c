// What people wrote beside a study: notes and tags, edited without overwriting what somebody else wrote meanwhile.

import { get, patch } from "../core/api.js";
import { byId, h, replace } from "../core/dom.js";
import { problemWords } from "../core/problems.js";
import { maySubmit } from "../core/rights.js";

const CONFLICT = 412;

/** Follow `study` and `session` of the store; `path` is the study's in the API. */
export function createNotes(store, path) {
  const notes = h("textarea", { id: "notes-text", rows: "4" });
  const tags = h("input", { id: "notes-tags", type: "text", autocomplete: "off" });
  const said = h("p", { class: "note", role: "status" });
  const save = h("button", { type: "submit", class: "button" }, "Save");
  const form = h("form", { onsubmit: submit },
    h("div", { class: "field" }, h("label", { for: "notes-text" }, "Notes"), notes),
    h("div", { class: "field" }, h("label", { for: "notes-tags" }, "Tags"), tags, h("span", { class: "hint" }, "With commas between them.")),
    h("div", { class: "toolbar" }, save), said);
  replace(byId("notes"), form);
  let base = null; // the study as it was when the fields were filled

  const written = () => ({ notes: notes.value, tags: tags.value.split(",").map((tag) => tag.trim()).filter((tag) => tag !== "") });
  const isTouched = () => base !== null && (notes.value !== base.notes || tags.value !== base.tags.join(", "));

  function show({ study, session }) {
    if (study === null) return;
    const mayEdit = maySubmit(session);
    notes.readOnly = tags.readOnly = !mayEdit;
    save.hidden = !mayEdit;
    if (isTouched()) {
      if (study.revision !== base.revision) said.textContent = "Somebody else has changed these meanwhile; yours are not saved yet.";
      return;
    }
    fill(study);
  }

  function fill(study) {
    base = study;
    notes.value = study.notes;
    tags.value = study.tags.join(", ");
  }

  async function submit(event) {
    event.preventDefault();
    save.disabled = true;
    try {
      const study = await patch(path, written(), { etag: `"${base.revision}"` });
      fill(study);
      store.set({ study });
      said.textContent = "Saved.";
    } catch (error) {
      said.textContent = error.status === CONFLICT ? await overtaken() : problemWords(error);
    } finally {
      save.disabled = false;
    }
  }

  async function overtaken() {
    try {
      base = { ...base, revision: (await get(path)).revision };
      return "Somebody else has changed these meanwhile. Save again to replace theirs by yours.";
    } catch (error) {
      return problemWords(error);
    }
  }

  store.subscribe(["study", "session"], show);
  show(store.get());
}
