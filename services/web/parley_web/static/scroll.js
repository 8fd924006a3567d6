// Follows the conversation while the reader is at its end, and never otherwise.

const scroller = document.getElementById("scroller");
const conversation = document.getElementById("conversation");
const jump = document.getElementById("jump");
const NEAR_PX = 100;
const ABOVE_PX = 72;

let following = true;
let lastTop = 0;

const distance = () => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;

/** Keep the end in view as the conversation or the box below it grows. */
export function followEnd() {
  scroller.addEventListener("scroll", onScroll, { passive: true });
  const observer = new ResizeObserver(settle);
  observer.observe(conversation);
  observer.observe(scroller);
  settle();
}

/** Go to the end and follow again. */
export function toEnd() {
  following = true;
  settle();
}

/** Show a message, marked, and stay there. */
export function toMessage(article) {
  if (!article) return;
  following = false;
  for (const other of conversation.querySelectorAll(".named")) other.classList.remove("named");
  article.classList.add("named");
  bring(article, ABOVE_PX);
}

/** Return what is read: the topmost message in view and where it stands; null at the end. */
export function placeRead() {
  if (following) return null;
  const { top } = scroller.getBoundingClientRect();
  const messages = [...conversation.querySelectorAll("article")];
  const first = messages.find((each) => each.getBoundingClientRect().bottom > top);
  return first && { id: first.id, offset: first.getBoundingClientRect().top - top };
}

/** Go back to a place that was read. */
export function toPlace({ id, offset }) {
  const article = document.getElementById(id);
  if (!article) return;
  following = false;
  bring(article, offset);
}

/** Tell whether the end is being followed. */
export function isFollowing() {
  return following;
}

/** Run `change`, which adds messages above, so that what is being read stays in its place. */
export function anchored(change) {
  const reference = conversation.querySelector("article");
  const before = reference?.getBoundingClientRect().top;
  change();
  if (reference) scroller.scrollTop += reference.getBoundingClientRect().top - before;
  lastTop = scroller.scrollTop;
}

/** Put a message at a place; what was never in view gets its true height only on the way there. */
function bring(article, offset, tries = 6) {
  const top = scroller.getBoundingClientRect().top + offset;
  scroller.scrollTop += article.getBoundingClientRect().top - top;
  lastTop = scroller.scrollTop;
  if (tries) requestAnimationFrame(() => bring(article, offset, tries - 1));
}

function onScroll() {
  const up = scroller.scrollTop < lastTop;
  lastTop = scroller.scrollTop;
  if (up && distance() > 2) following = false;
  else if (distance() < NEAR_PX) following = true;
  jump.hidden = distance() < NEAR_PX;
}

function settle() {
  if (following) scroller.scrollTop = scroller.scrollHeight;
  lastTop = scroller.scrollTop;
  jump.hidden = distance() < NEAR_PX;
}
