// Writing a message anew, in its own place. What is written outlives patches and reloads; when a
// waiting message is sent meanwhile, its editor stays with the message and offers two ways on.

import { call, newId } from "./api.js";
import { bring } from "./composer.js";
import { note } from "./notes.js";

const PREFIX = `edit:${document.body.dataset.thread}:`;
const template = document.getElementById("editor");
const editors = new Map(); // the open ones by their message's id

/** Open the editors that a reload has closed; follow the messages from now on. */
export function keepEditing() {
  for (const key of Object.keys(sessionStorage)) {
    if (!key.startsWith(PREFIX)) continue;
    const kept = JSON.parse(sessionStorage.getItem(key));
    const id = key.slice(PREFIX.length);
    editors.set(id, made(id, kept));
  }
  place();
  document.addEventListener("patched", place);
}

/** Open the editor of the button's message. */
export function edit(button) {
  const article = button.closest("article");
  const id = article.dataset.message;
  if (!editors.has(id)) {
    const text = article.querySelector(".bubble").textContent;
    editors.set(id, made(id, { text, waited: waits(article) }));
  }
  place();
  editors.get(id).text.focus();
}

/** Close the editor around an element, leaving the message as it was. */
export function closeEditor(element) {
  const id = element.closest(".editor").dataset.of;
  const article = articleOf(id);
  forget(id);
  article?.querySelector('[data-action="edit"], [data-action="change"]')?.focus();
}

/** Take the text of the editor around an element into the box: it becomes a new message. */
export function askNew(element) {
  const form = element.closest(".editor");
  forget(form.dataset.of);
  bring(form.text.value, "");
}

const articleOf = (id) => document.getElementById(`message-${id}`);
const waits = (article) => article.classList.contains("waiting");

function made(id, { text, waited }) {
  const form = template.content.firstElementChild.cloneNode(true);
  form.text.value = text;
  form.dataset.of = id;
  form.dataset.anew = newId();
  if (waited) form.dataset.waited = "yes";
  form.addEventListener("input", () => {
    form.dataset.anew = newId();
    keep(form);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(form);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeEditor(form);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  keep(form);
  return form;
}

function keep(form) {
  const kept = { text: form.text.value, waited: "waited" in form.dataset };
  try {
    sessionStorage.setItem(PREFIX + form.dataset.of, JSON.stringify(kept));
  } catch {
    // The storage is full; the text stays in its editor.
  }
}

function forget(id) {
  articleOf(id)?.classList.remove("editing");
  editors.get(id)?.remove();
  editors.delete(id);
  sessionStorage.removeItem(PREFIX + id);
}

/** Put every editor where its message is now, as it is now. */
function place() {
  for (const [id, form] of editors) {
    const article = articleOf(id);
    if (article) putInto(article, form);
    else if ("waited" in form.dataset && document.getElementById("queue")) rescue(id, form);
  }
}

function putInto(article, form) {
  const waiting = waits(article);
  form.querySelector(".overtaken").hidden = waiting || !("waited" in form.dataset);
  form.querySelector('[data-action="ask-new"]').hidden = waiting || !("waited" in form.dataset);
  form.querySelector(".primary").textContent = waiting ? "Save" : "Ask again";
  if (article.contains(form)) return;
  article.classList.add("editing");
  article.querySelector(".bubble").after(form);
}

/** The message was taken back elsewhere: what was written here is not lost with it. */
function rescue(id, form) {
  forget(id);
  bring(form.text.value, "The message that you were editing was removed; your text is here.");
}

async function save(form) {
  const text = form.text.value;
  const id = form.dataset.of;
  if (!text.trim()) return note("The text is empty; write something or cancel.");
  form.inert = true;
  try {
    await submit(id, text, form.dataset.anew);
  } catch (error) {
    note(error.message);
  }
  form.inert = false;
}

async function submit(id, text, anew) {
  if (waits(articleOf(id))) {
    await call("PATCH", `/api/messages/${id}`, { text });
    return closeEditor(editors.get(id));
  }
  const ids = { thread_id: anew, message_id: anew };
  const { thread } = await call("POST", `/api/messages/${id}/edit`, { text, ...ids });
  forget(id);
  location.assign(`/t/${thread.id}`);
}
