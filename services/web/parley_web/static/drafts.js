// What is being written, a thread, kept in the browser until the server has accepted it.
// Each draft has the id under which it is sent: sending it twice makes one message.
// A tab keeps its own draft; the one that was written last is there for tabs that open later.

import { newId } from "./api.js";

const PAUSE_MS = 250;
const MOST = 200_000; // characters; more can neither be sent nor kept

/** One thread's draft: its text and the agent that was chosen for it. */
export class Draft {
  /** `sentElsewhere` is called when another tab has sent this very draft. */
  constructor(threadId, sentElsewhere) {
    this.key = `draft:${threadId || "new"}`;
    const kept = read(sessionStorage, this.key) ?? read(localStorage, this.key);
    this.text = kept?.text ?? "";
    this.agent = kept?.agent ?? "";
    this.id = kept?.id ?? newId();
    this.pause = 0;
    addEventListener("pagehide", () => this.keep());
    addEventListener("storage", ({ key, newValue }) => {
      if (key === this.key && newValue === `sent ${this.id}`) sentElsewhere();
    });
  }

  /** Keep what was written; another text, or for another agent, is another message. */
  write(text, agent) {
    if (text === this.text && agent === this.agent) return;
    this.text = text;
    this.agent = agent;
    this.id = newId();
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.keep(), PAUSE_MS);
  }

  /** Forget the draft, unless the person wrote on since it was sent. */
  accepted(id) {
    if (id !== this.id) return;
    this.keep();
    this.text = this.agent = "";
    this.id = newId();
    store(sessionStorage, this.key, "");
    if (read(localStorage, this.key)?.id === id) store(localStorage, this.key, `sent ${id}`);
  }

  /** Store what was not stored yet; not at every key, because long texts take their time. */
  keep() {
    if (!this.pause) return;
    clearTimeout(this.pause);
    this.pause = 0;
    const { text, agent, id } = this;
    const worth = (text || agent) && text.length <= MOST;
    for (const storage of [sessionStorage, localStorage]) {
      store(storage, this.key, worth ? JSON.stringify({ text, agent, id }) : "");
    }
  }
}

function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null; // nothing is kept, or it was sent
  }
}

function store(storage, key, value) {
  try {
    storage.setItem(key, value);
  } catch {
    // The storage is full; the text stays in its box.
  }
}
