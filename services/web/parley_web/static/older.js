// Messages that the page does not show yet: earlier ones are loaded as the reader comes near the
// top; whoever is led to an old message gets its surroundings, and the gap after them as it is read.

import { fragment } from "./api.js";
import { anchored, isFollowing, placeRead, toMessage, toPlace } from "./scroll.js";
import { localise } from "./times.js";

const AHEAD = "600px";
const NAME = "message-";
const PLACE = `place:${document.body.dataset.thread}`;
const MOST = 300;
const KEPT = 60;
const scroller = document.getElementById("scroller");
const observer = new IntersectionObserver(
  (entries) => entries.filter((each) => each.isIntersecting).map(({ target }) => target.click()),
  { root: scroller, rootMargin: `${AHEAD} 0px ${AHEAD} 0px` },
);

/** Watch for the ends of what is shown, also after the list was replaced. */
export function watchEnds() {
  const conversation = document.getElementById("conversation");
  new MutationObserver(watch).observe(conversation, { childList: true, subtree: true });
  watch();
}

/** Bring the reader back to where they were, or to the message that the address names. */
export async function followAddress() {
  addEventListener("hashchange", showNamed);
  addEventListener("pagehide", () => sessionStorage.setItem(PLACE, JSON.stringify(placeRead())));
  const [{ type }] = performance.getEntriesByType("navigation");
  const place = type === "navigate" ? null : JSON.parse(sessionStorage.getItem(PLACE));
  if (!place) return showNamed();
  await loadNamed(place.id);
  toPlace(place);
}

/** Put the page of messages before the button's in its place. */
export async function loadOlder(button) {
  await fill(button, { before: button.dataset.before }, anchored);
}

/** Put the messages that follow in the place of the button that stands for them. */
export async function loadGap(button) {
  const { after, before } = button.dataset;
  await fill(button, { after, before }, (change) => change());
}

async function fill(button, query, placed) {
  if (button.disabled) return;
  button.disabled = true;
  try {
    const messages = await load(query);
    placed(() => button.replaceWith(messages));
    document.dispatchEvent(new Event("patched"));
  } catch (error) {
    button.disabled = false;
    throw error;
  }
}

async function load(query) {
  const { thread } = document.body.dataset;
  const messages = await fragment(`/page/threads/${thread}/messages?${new URLSearchParams(query)}`);
  localise(messages);
  return messages;
}

async function showNamed() {
  const id = location.hash.slice(1);
  if (!id.startsWith(NAME)) return;
  await loadNamed(id);
  toMessage(document.getElementById(id));
}

async function loadNamed(id) {
  if (!document.getElementById(id)) await loadAround(id.slice(NAME.length));
}

/** Load what surrounds a message, above what is shown; a message that is not here changes nothing. */
async function loadAround(message) {
  const older = document.getElementById("older");
  if (!older?.dataset.before) return;
  older.disabled = true;
  try {
    const query = { around: message, before: older.dataset.before };
    older.replaceWith(await load(query));
  } catch {
    older.disabled = false; // the message is gone; the thread itself is shown
  }
}

function watch() {
  for (const id of ["older", "gap"]) {
    const button = document.getElementById(id);
    if (!button || button.dataset.watched === "yes") continue;
    button.dataset.watched = "yes";
    observer.observe(button);
  }
  if (isFollowing()) trim();
}

/** Whoever reads the end of a long thread needs not carry its beginning. */
function trim() {
  const shown = document.querySelectorAll("#messages > article");
  if (shown.length <= MOST) return;
  const gone = [...shown].slice(0, shown.length - KEPT);
  for (const article of gone) article.remove();
  document.getElementById("gap")?.remove();
  const button = document.getElementById("older");
  button.dataset.before = shown[gone.length].dataset.position;
  button.hidden = button.disabled = false;
}
