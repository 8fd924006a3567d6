// The dialog that renames the thread. It stays open, with what was written, until that is stored.

import { call } from "./api.js";

const dialog = document.getElementById("rename-dialog");
const form = dialog.querySelector("form");
const refusal = dialog.querySelector(".refusal");

/** Wire the dialog. */
export function renaming() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
}

/** Ask for the new title. */
export function rename() {
  form.title.value = document.getElementById("thread-heading").dataset.title;
  refuse("");
  dialog.showModal();
  form.title.select();
}

/** Leave the title as it is. */
export function leaveName() {
  dialog.close();
}

async function save() {
  const title = form.title.value.trim();
  if (!title) return refuse("The title is empty; write one or cancel.");
  form.inert = true;
  try {
    await call("PATCH", `/api/threads/${document.body.dataset.thread}`, { title });
    dialog.close();
  } catch (error) {
    refuse(error.message);
  }
  form.inert = false;
}

function refuse(sentence) {
  refusal.textContent = sentence;
  refusal.hidden = !sentence;
  if (sentence) form.title.focus();
}
