// Which rows to read again as things happen: each study once, however much happens to it, and only a few at a time.

import { ApiProblem, get } from "../core/api.js";

const PAUSE_MS = 250;
const AT_ONCE = 4;

/** `want(id)` reads that study soon and tells `arrived(StudyDetail)`, or `gone(id)` where there is none any more. */
export function createNews({ arrived, gone }) {
  const wanted = new Set();
  const reading = new Set();
  let timer = null;

  function want(id) {
    wanted.add(id);
    timer ??= setTimeout(go, PAUSE_MS);
  }

  function go() {
    timer = null;
    for (const id of wanted) {
      if (reading.size >= AT_ONCE) return; // whoever ends goes on
      if (reading.has(id)) continue;
      wanted.delete(id);
      read(id);
    }
  }

  async function read(id) {
    reading.add(id);
    try {
      arrived(await get(`/studies/${id}`));
    } catch (error) {
      // Otherwise the server is away: the banner says so, and all is read again when it is back.
      if (error instanceof ApiProblem && error.status === 404) gone(id);
    } finally {
      reading.delete(id);
      if (wanted.size > 0) timer ??= setTimeout(go, PAUSE_MS);
    }
  }

  return { want };
}
