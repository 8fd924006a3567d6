// The page's one stream. It is closed while nobody looks: browsers open six connections a host.
// Every connection begins with what the page has missed, so coming back is just connecting.

import { call } from "./api.js";
import { apply } from "./patches.js";

const offline = document.getElementById("offline");
const PATIENCE_MS = 1500;
const SILENCE_MS = 12_000; // the server says something every five seconds
const PAUSES_MS = [250, 500, 1000, 2000, 4000];

let source = null;
let failures = 0;
let retry = 0;
let banner = 0;
let watch = 0;

/** Keep the page up to date from now on. */
export function follow() {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  addEventListener("online", open);
  addEventListener("offline", () => {
    complain();
    lost();
  });
  open();
}

function open() {
  if (document.hidden || source) return;
  clearTimeout(retry);
  const query = new URLSearchParams({ thread: document.body.dataset.thread, known: lastKnown() });
  source = new EventSource(`/page/stream?${query}`);
  source.addEventListener("patch", (event) => {
    heard();
    apply(JSON.parse(event.data));
    connected();
  });
  source.addEventListener("ping", heard);
  source.addEventListener("error", lost);
  heard();
}

function close() {
  source?.close();
  source = null;
  clearTimeout(retry);
  clearTimeout(watch);
}

/** A connection may die without a word: whoever is silent for too long is asked anew. */
function heard() {
  clearTimeout(watch);
  watch = setTimeout(lost, SILENCE_MS);
}

function connected() {
  if (!failures && !banner && offline.hidden) return;
  failures = 0;
  clearTimeout(banner);
  banner = 0;
  offline.hidden = true;
  document.dispatchEvent(new Event("connected"));
}

function complain() {
  offline.hidden = false;
}

async function lost() {
  const refused = source?.readyState === EventSource.CLOSED;
  close();
  banner ||= setTimeout(complain, PATIENCE_MS);
  retry = setTimeout(open, PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]);
  failures += 1;
  // An EventSource does not tell why it was refused. This call goes to the sign-in page on a 401.
  if (refused) await call("GET", "/api/sessions").catch(() => {});
}

/** Return the position of the last settled message that the page shows. */
function lastKnown() {
  const last = document.querySelector("#messages > article:last-of-type");
  return last?.dataset.position ?? 0;
}
