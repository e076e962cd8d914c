// The API of the server that sent this page.  The browser's session is the only credential; every refusal becomes an
// `ApiProblem`, and a server that does not answer a `Unreachable`.

const ROOT = "/api/v1";
const PROBLEM = "application/problem+json";

/** What the server refused and why: RFC 9457 with a `code` that never changes its meaning. */
export class ApiProblem extends Error {
  constructor(status, document) {
    super(document.detail || document.title || `The server answered ${status}.`);
    this.name = "ApiProblem";
    this.status = status;
    this.code = document.code ?? "unknown";
    this.errors = document.errors ?? []; // [{pointer, message}]
    this.requestId = document.request_id ?? null;
  }
}

/** Nobody answers at the address of this page. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer.");
    this.name = "Unreachable";
  }
}

/** The document at a path below /api/v1, such as `/studies`; `query` as an object, null and undefined left out. */
export async function get(path, query = {}, { signal } = {}) {
  return (await send("GET", path + queryString(query), { signal })).document;
}

/** What came back after creating something; `key` makes the same call again harmless. */
export async function post(path, body, { key = null, type = "application/json" } = {}) {
  const headers = { "Content-Type": type };
  if (key !== null) headers["Idempotency-Key"] = key;
  return (await send("POST", path, { headers, body: type === "application/json" ? JSON.stringify(body) : body })).document;
}

/** What came back after a change; `etag` is that of the document as it was read. */
export async function patch(path, body, { etag = null } = {}) {
  const headers = { "Content-Type": "application/json" };
  if (etag !== null) headers["If-Match"] = etag;
  return (await send("PATCH", path, { headers, body: JSON.stringify(body) })).document;
}

/** Delete what is at a path. */
export async function remove(path) {
  await send("DELETE", path, {});
}

/** A key for one intention: the same while a form stays as it is, another for the next one.
 *  `crypto.randomUUID` is there on secure origins only, and a server in a local network may not be one. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `?a=1&b=2`, or nothing. */
export function queryString(query) {
  const pairs = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
}

async function send(method, path, { headers = {}, body, signal }) {
  let answer;
  try {
    answer = await fetch(ROOT + path, { method, headers, body, signal, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  // An answer without content may still name a type.
  const isJson = answer.status !== 204 && (answer.headers.get("content-type") ?? "").includes("json");
  if (!answer.ok) {
    const isProblem = (answer.headers.get("content-type") ?? "").startsWith(PROBLEM);
    throw new ApiProblem(answer.status, isProblem ? await answer.json() : {});
  }
  return { document: isJson ? await answer.json() : null, headers: answer.headers };
}
