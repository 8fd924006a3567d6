// Which threads were answered while another one, or none, was looked at: marked until they are opened.

const KEY = "unread";
const list = document.getElementById("threads");
const unread = new Set(JSON.parse(localStorage.getItem(KEY)));
let running = new Set();

/** Follow the list from now on. */
export function markUnread() {
  if (unread.delete(document.body.dataset.family)) keep();
  document.addEventListener("patched", look);
  look();
}

function look() {
  const now = new Set();
  for (const entry of list.querySelectorAll(".running")) now.add(entry.dataset.family);
  const ended = [...running].filter((family) => !now.has(family));
  const missed = ended.filter((family) => family !== document.body.dataset.family);
  running = now;
  for (const family of missed) unread.add(family);
  if (missed.length) keep();
  if (unread.size) mark();
}

function mark() {
  for (const entry of list.children) {
    const link = entry.querySelector("a");
    if (!link || entry.classList.contains("unread") || !unread.has(entry.dataset.family)) continue;
    entry.classList.add("unread");
    link.ariaDescription = "New answer";
  }
}

function keep() {
  localStorage.setItem(KEY, JSON.stringify([...unread]));
}
