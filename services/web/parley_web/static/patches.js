// Applies what the server streams. The protocol is told in page/patches.py.

import { nodesOf } from "./api.js";
import { fallback } from "./focus.js";
import { localise } from "./times.js";

const byId = (id) => document.getElementById(id);

/** `<details>` that a person has opened, by id: they stay open when their element is replaced. */
const opened = new Set();

document.addEventListener(
  "toggle",
  ({ target }) => {
    if (target.localName !== "details" || !target.id) return;
    if (target.open) opened.add(target.id);
    else if (target.isConnected) opened.delete(target.id);
  },
  true,
);

const OPERATIONS = {
  append: (parent, html) => byId(parent)?.append(prepared(html)),
  prepend: (parent, html) => byId(parent)?.prepend(prepared(html)),
  before: (id, html) => byId(id)?.before(prepared(html)),
  replace: (id, html) => byId(id)?.replaceWith(prepared(html, id)),
  renew: (parent, html) => renew(byId(parent), nodesOf(html)),
  remove: (id) => byId(id)?.remove(),
  extend: (id, text) => byId(id)?.append(text),
  announce: (text) => byId("announcer").replaceChildren(text),
  title: (text) => {
    document.title = `${text} · Parley`;
  },
};

/** Apply patches in order; focus stays in its place, also when the element there is a new one. */
export function apply(patches) {
  const focused = document.activeElement;
  const home = focused?.closest("[id]")?.id;
  const place = home ? focusable(home).indexOf(focused) : -1;
  for (const [name, ...content] of patches) OPERATIONS[name]?.(...content);
  document.dispatchEvent(new Event("patched"));
  if (!focused || focused === document.activeElement) return;
  if (focused.isConnected) focused.focus({ preventScroll: true });
  else refocus(focused, home && focusable(home)[place]);
}

/** Return what can have the focus in the element with this id, itself first. */
function focusable(id) {
  const element = byId(id);
  return element ? [element, ...element.querySelectorAll("a, button, summary, [tabindex]")] : [];
}

/** Focus what came in the place of an element, if it does the same, else the box. */
function refocus(gone, successor) {
  const same =
    successor?.localName === gone.localName && successor.dataset.action === gone.dataset.action;
  (same ? successor : fallback())?.focus({ preventScroll: true });
}

/** Put the first page of a list in the place of its beginning; what was loaded beyond it stays. */
export function renew(list, page) {
  const fresh = [...page.children].filter(({ id }) => id);
  const more = page.querySelector(".more");
  const ids = new Set(fresh.map(({ id }) => id));
  const last = Number(fresh.at(-1)?.dataset.at);
  const stays = ({ id, dataset }) => id && !ids.has(id) && Number(dataset.at) < last;
  const beyond = more ? [...list.children].filter(stays) : [];
  const end = beyond.length ? list.querySelector(".more") : more;
  const { scrollTop } = list.parentElement;
  localise(page);
  list.replaceChildren(...fresh, ...beyond, ...(end ? [end] : []));
  list.parentElement.scrollTop = scrollTop;
}

/** Return the HTML as nodes; elements that the page has already, by id, leave their old place. */
function prepared(html, replaced) {
  const nodes = nodesOf(html);
  for (const element of nodes.children) {
    if (element.id && element.id !== replaced) byId(element.id)?.remove();
  }
  for (const details of nodes.querySelectorAll("details[id]")) {
    details.open = opened.has(details.id);
  }
  localise(nodes);
  return nodes;
}
