// What a session may do.

/** Whether a session (of GET /session) may start, stop, change and delete; null, not known yet, may not. */
export function maySubmit(session) {
  return session !== null && session.scopes.some((scope) => scope === "submit" || scope === "admin");
}
