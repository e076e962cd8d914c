// What happens on the server, as it happens.  All tabs of a browser share one stream: the tab that holds the lock reads
// it and hands every event on.  Where there are no locks, on origins that are not secure, each tab reads for itself.

import { ApiProblem, get } from "./api.js";

const NAME = "supernaut-events";
const STREAM = "/api/v1/events";
const RETRY_MS = 2_000; // after the browser has given up; as often as it tries by itself
const LONG_MS = 30_000; // a tab that was asleep this long makes sure that its stream still lives
const PATIENCE_MS = 5_000;

// A page tells the newest event there was when it was made: the stream may open after its data were read.  A copy that
// the browser kept, for its back button, tells of long ago: then its data are read again once the stream is open.
const told = document.body.dataset.events;
const isOldCopy = performance.getEntriesByType("navigation")[0]?.type === "back_forward";

const listeners = new Set(); // {studyId, onEvent}
const watchers = new Set();
let connection = null; // {state, since, reason}; null before anything is known
let last = told === undefined || isOldCopy ? null : Number(told); // number of the newest event that is known in this tab
let channel = null;
let source = null; // of the leader
let leaving = null; // gives the lock back
let started = false;
let gap = isOldCopy; // whether the stream was away since the last resync
let seenAt = 0;

/** Calls `onEvent(EventDocument)` for each event of a study, of all studies where `studyId` is null, once and in order.
 *  Where some may have been missed, `onEvent` gets {kind: "resync", study_id: null, number: null, payload: {}}: read
 *  again what is shown.  Returns a function that ends it. */
export function follow(studyId, onEvent) {
  const entry = { studyId, onEvent };
  listeners.add(entry);
  start();
  return () => listeners.delete(entry);
}

/** Calls `fn({state: "live"|"lost", since: Date, reason: null|"session"})` now, if it is known, and at each change.
 *  Returns a function that ends it. */
export function onConnection(fn) {
  watchers.add(fn);
  if (connection !== null) fn(connection);
  return () => watchers.delete(fn);
}

function start() {
  if (started) return;
  started = true;
  if (typeof BroadcastChannel === "function" && navigator.locks !== undefined) {
    join();
    addEventListener("pagehide", leave);
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      join();
      resync(); // while the page was put away, it heard nothing
    });
  } else {
    open();
  }
  addEventListener("visibilitychange", checkAfterSleep);
  addEventListener("online", () => reopen());
}

function join() {
  channel = new BroadcastChannel(NAME);
  channel.onmessage = ({ data }) => {
    if (data.hello === true) {
      if (source !== null && connection !== null) channel.postMessage({ connection });
    } else if (data.event !== undefined) {
      hand(data.event);
    } else if (data.connection !== undefined) {
      tell(data.connection);
    } else if (data.resync === true) {
      resync();
    }
  };
  channel.postMessage({ hello: true });
  const abort = new AbortController();
  const held = new Promise((resolve) => {
    leaving = () => {
      abort.abort();
      resolve();
    };
  });
  navigator.locks.request(NAME, { signal: abort.signal }, () => {
    // Whoever led before may have heard what was not handed on.
    gap ||= connection !== null;
    open();
    return held;
  }).catch((error) => {
    if (error.name !== "AbortError") throw error;
  });
}

function leave() {
  source?.close();
  source = null;
  leaving?.();
  channel?.close();
  channel = null;
}

function open() {
  source?.close();
  const mine = new EventSource(last === null ? STREAM : `${STREAM}?after=${last}`);
  source = mine;
  mine.onopen = () => {
    seenAt = Date.now();
    const missed = gap;
    gap = false;
    announce({ state: "live", since: new Date(), reason: null });
    if (missed) {
      channel?.postMessage({ resync: true });
      resync();
    }
  };
  mine.onmessage = ({ data }) => {
    seenAt = Date.now();
    const event = JSON.parse(data);
    channel?.postMessage({ event });
    hand(event);
  };
  mine.onerror = () => {
    if (source !== mine) return;
    gap = true;
    lose(null);
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => comeBack(mine), RETRY_MS);
  };
}

/** The browser tries again by itself where nobody answers, and gives up where it is refused: then it is asked why. */
async function comeBack(mine) {
  if (source !== mine) return;
  try {
    await get("/session", {}, { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) lose("session");
  }
  if (source === mine) open();
}

function reopen() {
  if (source === null) return;
  gap = true;
  open();
}

/** After a long sleep the other side may be gone without a word, which a stream never notices. */
async function checkAfterSleep() {
  if (document.hidden || source === null || connection?.state !== "live" || Date.now() - seenAt < LONG_MS) return;
  try {
    await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    seenAt = Date.now();
  } catch {
    lose(null);
    reopen();
  }
}

function lose(reason) {
  const since = connection?.state === "lost" ? connection.since : new Date();
  announce({ state: "lost", since, reason: reason ?? (connection?.state === "lost" ? connection.reason : null) });
}

function announce(now) {
  channel?.postMessage({ connection: now });
  tell(now);
}

function tell(now) {
  const same = connection !== null && connection.state === now.state && connection.reason === now.reason;
  if (same) return;
  connection = Object.freeze(now);
  for (const fn of [...watchers]) fn(connection);
}

function hand(event) {
  if (last !== null && event.number <= last) return; // told again after a loss
  last = event.number;
  for (const { studyId, onEvent } of [...listeners]) {
    if (studyId === null || studyId === event.study_id) onEvent(event);
  }
}

function resync() {
  for (const { onEvent } of [...listeners]) onEvent({ kind: "resync", study_id: null, number: null, payload: {} });
}
