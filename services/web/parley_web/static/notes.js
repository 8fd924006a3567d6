// Short notes at the edge of the page, some with a way back.

import { call } from "./api.js";

const SHOWN_MS = 8000;
const KEY = "deleted";
const toasts = document.getElementById("toasts");

/** Show a sentence for a while; with `undo`, a button that takes back what was done. */
export function note(sentence, undo) {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.setAttribute("role", "status");
  toasts.append(toast);
  const text = document.createElement("p");
  text.textContent = sentence;
  toast.append(text);
  if (undo) toast.append(undoButton(undo, toast));
  toast.append(dismissal(toast));
  setTimeout(() => toast.remove(), SHOWN_MS);
}

/** Leave word for the next page that a thread was deleted. */
export function leaveWord(id, title) {
  sessionStorage.setItem(KEY, JSON.stringify({ id, title }));
}

/** Offer to take a deletion back that the page before has made. */
export function offerUndo() {
  const left = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  if (!left) return;
  const { id, title } = JSON.parse(left);
  note(`“${title}” was deleted.`, async () => {
    await call("POST", `/api/threads/${id}/restore`);
    location.assign(`/t/${id}`);
  });
}

function dismissal(toast) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "bare";
  button.ariaLabel = "Dismiss";
  button.textContent = "✕";
  button.addEventListener("click", () => toast.remove());
  return button;
}

function undoButton(undo, toast) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "Undo";
  button.addEventListener("click", () => {
    toast.remove();
    undo().catch((error) => note(error.message));
  });
  return button;
}
