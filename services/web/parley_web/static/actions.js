// What the buttons do. A button names its action; what it acts on is told by the elements around it.

import { call } from "./api.js";
import { askNew, closeEditor, edit } from "./editor.js";
import { fallback } from "./focus.js";
import { leaveWord, note } from "./notes.js";
import { loadGap, loadOlder } from "./older.js";
import { leaveName, rename } from "./rename.js";
import { toEnd } from "./scroll.js";
import { changeTheme } from "./themes.js";
import { archived, drawer, more } from "./threads.js";

const thread = document.body.dataset.thread;
const performing = new WeakSet();

/** Do what the buttons say, from now on. */
export function act() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action], button.copy");
    if (button) perform(button);
  });
  const menu = document.getElementById("thread-menu");
  menu?.addEventListener("keydown", walk);
  menu?.addEventListener("toggle", ({ newState }) => {
    if (newState === "open") menu.querySelector("button").focus();
  });
}

/** Arrow keys walk through the menu. */
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const choices = [...event.currentTarget.querySelectorAll("a, button")];
  const next = choices.indexOf(document.activeElement) + step;
  choices.at(next % choices.length).focus();
}

/** Do it once: a second click on what is being done is an accident. */
async function perform(button) {
  if (performing.has(button)) return;
  performing.add(button);
  try {
    await ACTIONS[button.dataset.action ?? "copy-code"]?.(button);
  } catch (error) {
    note(error.message);
    button.disabled = false;
  }
  performing.delete(button);
}

const messageOf = (button) => button.closest("article").dataset.message;
const turnOf = (button) => button.closest("[data-turn]").dataset.turn;

/** Go to another page; done when somebody comes back to this one. */
function visit(path) {
  location.assign(path);
  return new Promise((resolve) => addEventListener("pageshow", resolve, { once: true }));
}

const ACTIONS = {
  // Messages
  copy: async (button) => {
    const message = await call("GET", `/api/messages/${messageOf(button)}`);
    await copy(message.text, button);
  },
  "copy-code": (button) => copy(button.closest(".code").querySelector("code").textContent, button),
  fork: async (button) => visitFork({ message_id: messageOf(button) }),
  edit,
  regenerate: async (button) => {
    const { thread } = await call("POST", `/api/messages/${messageOf(button)}/regenerate`, {});
    await visit(`/t/${thread.id}`);
  },
  // Messages that wait
  change: edit,
  withdraw: (button) => call("DELETE", `/api/messages/${messageOf(button)}`),
  "send-now": (button) => call("POST", `/api/messages/${messageOf(button)}/send-now`),
  resume: () => call("POST", `/api/threads/${thread}/resume`),
  // Turns
  stop: async (button) => {
    button.disabled = true;
    button.querySelector("span").textContent = "Stopping…";
    fallback()?.focus({ preventScroll: true });
    await call("POST", `/api/turns/${turnOf(button)}/cancel`, {}).catch((error) => {
      if (error.status !== 409) throw error; // it had just finished
    });
  },
  retry: async (button) => {
    button.disabled = true;
    await call("POST", `/api/turns/${turnOf(button)}/retry`, {});
  },
  allow: (button) => decide(button, "allow"),
  deny: (button) => decide(button, "deny"),
  // The thread
  rename,
  "leave-name": leaveName,
  archive: () => change({ status: "archived" }),
  unarchive: () => change({ status: "active" }),
  delete: async () => {
    const { title } = await call("DELETE", `/api/threads/${thread}`);
    leaveWord(thread, title);
    await visit("/");
  },
  restore: () => call("POST", `/api/threads/${thread}/restore`),
  "fork-end": () => visitFork({}),
  older: loadOlder,
  gap: loadGap,
  jump: toEnd,
  // The list and the rest
  drawer: () => drawer(true),
  "close-drawer": () => drawer(false),
  archived,
  more,
  theme: changeTheme,
  "close-editor": closeEditor,
  "ask-new": askNew,
  "sign-out": async () => {
    await call("POST", "/api/logout");
    await visit("/signin");
  },
};

const change = (changes) => call("PATCH", `/api/threads/${thread}`, changes);

function decide(button, decision) {
  const { step } = button.closest("[data-step]").dataset;
  return call("POST", `/api/turns/${turnOf(button)}/decide`, { step, decision });
}

async function visitFork(point) {
  const fork = await call("POST", `/api/threads/${thread}/fork`, point);
  await visit(`/t/${fork.id}`);
}

async function copy(text, button) {
  await toClipboard(text);
  button.classList.add("copied");
  document.getElementById("announcer").replaceChildren("Copied.");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

/** Copy text; on plain HTTP from another machine browsers only offer the old way. */
async function toClipboard(text) {
  const copied = navigator.clipboard
    ? await navigator.clipboard.writeText(text).then(
        () => true,
        () => false,
      )
    : copiedByHand(text);
  if (!copied) throw new Error("This browser did not allow copying. Select the text and copy it.");
}

function copiedByHand(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return copied;
}
