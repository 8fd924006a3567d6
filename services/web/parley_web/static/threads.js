// The list of threads: searching, the archive, the drawer on narrow screens. What was looked for,
// what was loaded and how far it was scrolled is the same on the next page.

import { fragment, nodesOf } from "./api.js";
import { note } from "./notes.js";
import { renew } from "./patches.js";
import { localise } from "./times.js";

const sidebar = document.getElementById("sidebar");
const lists = sidebar.querySelector(".lists");
const all = document.getElementById("threads");
const found = document.getElementById("found");
const search = document.getElementById("search");
const archive = document.querySelector('[data-action="archived"]');
const covered = document.querySelectorAll("#thread-header > button, #scroller, .dock");
const narrow = matchMedia("(max-width: 50rem)");
const KEY = "list";
const PAUSE_MS = 200;
let pause = 0;
let asked = 0;

/** Wire the search and the drawer, and bring the list back as the page before has left it. */
export function browse() {
  recall();
  addEventListener("pagehide", remember);
  search.q.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(look, PAUSE_MS);
  });
  search.addEventListener("submit", async (event) => {
    event.preventDefault();
    await look();
    if (search.q.value.trim()) entries()[0]?.click();
  });
  sidebar.addEventListener("keydown", onKey);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    drawer(true);
    search.q.focus();
    search.q.select();
  });
  document.addEventListener("click", (event) => {
    if (isOpen() && !event.target.closest("#sidebar, [data-action=drawer]")) drawer(false);
  });
}

/** Show or hide the list where the screen is too narrow for it. */
export function drawer(open) {
  if (!narrow.matches || open === isOpen()) return;
  document.body.classList.toggle("drawer", open);
  for (const part of covered) part.inert = open;
  if (open) sidebar.querySelector("a").focus();
  else document.querySelector('[data-action="drawer"]').focus();
}

/** Turn the archive on or off. */
export function archived() {
  archive.ariaPressed = String(archive.ariaPressed !== "true");
  look();
}

/** Put the next page of a list in the place of the button that asks for it. */
export async function more(button) {
  const { cursor, status, query } = button.dataset;
  const entries = await list(query, status, cursor);
  const first = entries.querySelector("a");
  // The list may have been renewed meanwhile, and with it the button.
  const now = lists.querySelector(`[data-cursor="${CSS.escape(cursor)}"]`);
  now?.closest("li").replaceWith(entries);
  first?.focus({ preventScroll: true });
}

const isOpen = () => document.body.classList.contains("drawer");
const isLooking = () => sidebar.classList.contains("looking");
const entries = () => [...(isLooking() ? found : all).querySelectorAll("a")];

function onKey(event) {
  if (event.key === "Escape") return drawer(false);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.closest(".lists, #search")) return;
  const links = entries();
  const next = links.indexOf(event.target.closest("a")) + step;
  event.preventDefault();
  (next < 0 ? search.q : links[Math.min(next, links.length - 1)])?.focus();
}

async function look() {
  clearTimeout(pause);
  const query = search.q.value.trim();
  const status = archive.ariaPressed === "true" ? "archived" : "active";
  const plain = !query && status === "active";
  const mine = ++asked;
  try {
    const entries = plain ? "" : await list(query, status);
    if (mine !== asked) return; // a later question was asked meanwhile
    found.replaceChildren(entries);
    sidebar.classList.toggle("looking", !plain);
    lists.scrollTop = 0;
  } catch (error) {
    note(error.message);
  }
}

async function list(query, status, cursor) {
  const asked = new URLSearchParams({ status });
  if (query) asked.set("q", query);
  if (cursor) asked.set("cursor", cursor);
  const entries = await fragment(`/page/threads?${asked}`);
  mark(entries);
  localise(entries);
  return entries;
}

function remember() {
  const kept = {
    query: search.q.value,
    archived: archive.ariaPressed,
    all: all.innerHTML,
    found: found.innerHTML,
    scrollTop: lists.scrollTop,
  };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    sessionStorage.removeItem(KEY); // too long a list begins anew
  }
}

/** Bring the list back; the stream then says what has changed since. */
function recall() {
  const kept = JSON.parse(sessionStorage.getItem(KEY));
  if (!kept) return;
  search.q.value = kept.query;
  archive.ariaPressed = kept.archived;
  sidebar.classList.toggle("looking", Boolean(kept.query.trim()) || kept.archived === "true");
  found.replaceChildren(nodesOf(kept.found));
  const fresh = nodesOf(all.innerHTML);
  all.replaceChildren(nodesOf(kept.all));
  renew(all, fresh);
  mark(lists);
  for (const entry of all.querySelectorAll(".unread")) entry.classList.remove("unread");
  lists.scrollTop = kept.scrollTop;
}

/** Mark the entries of the thread that is open here. */
function mark(entries) {
  for (const link of entries.querySelectorAll("[aria-current]"))
    link.removeAttribute("aria-current");
  const { family } = document.body.dataset;
  for (const entry of entries.querySelectorAll(`li[data-family="${family}"]`)) {
    entry.querySelector("a").ariaCurrent = "page";
  }
}
