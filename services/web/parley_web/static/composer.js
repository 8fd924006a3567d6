// The box where people write. What is sent under a draft's id may be sent again and stays one
// message, so a sending whose fate nobody knows is repeated until somebody does.

import { call } from "./api.js";
import { Draft } from "./drafts.js";
import { toEnd } from "./scroll.js";

const AGAIN_MS = 3000;
const LONG = 20_000; // characters from which on the box no longer measures itself at every key
const form = document.getElementById("composer");
const refusal = document.getElementById("refusal");
const length = document.getElementById("length");
const limit = Number(form.dataset.limit);
const number = new Intl.NumberFormat();
const here = document.body.dataset.thread;
const fingers = matchMedia("(pointer: coarse)");
const draft = new Draft(here, cleared);
let sending = false;
let again = false;
let unclear = ""; // the id of a draft that was sent without an answer
let retry = 0;

/** Bring the draft back and wire the box. */
export function compose() {
  if (!form.text.value) form.text.value = draft.text;
  choose();
  written();
  form.text.addEventListener("input", written);
  form.text.addEventListener("keydown", onKey);
  form.addEventListener("change", written);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  document.addEventListener("patched", settle);
  document.addEventListener("connected", repeat);
  if (fingers.matches) form.text.enterKeyHint = "enter";
  // A phone would cover half of the page with its keyboard.
  else form.text.focus({ preventScroll: true });
}

/** Put text into the box, after what stands there, and say why. */
export function bring(text, sentence) {
  form.text.value = [form.text.value.trim(), text].filter(Boolean).join("\n\n");
  written();
  refuse(sentence);
  form.text.focus();
}

/** Say beside the box what went wrong; nothing takes it away. */
function refuse(sentence) {
  refusal.textContent = sentence;
  refusal.hidden = !sentence;
}

function onKey(event) {
  // Enter that confirms a word of an input method does not send (`keyCode` 229 in Safari).
  if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
  const meant = event.ctrlKey || event.metaKey;
  // A keyboard on the screen has no other way to begin a line.
  if (!meant && (event.shiftKey || fingers.matches)) return;
  event.preventDefault();
  form.requestSubmit();
}

function written() {
  const text = form.text.value;
  draft.write(text, chosen());
  form.classList.toggle("long", text.length > LONG);
  const over = excess(text);
  length.hidden = over < -limit / 10;
  length.textContent =
    over > 0 ? `${number.format(over)} too many` : `${number.format(-over)} left`;
  form.classList.toggle("over", over > 0);
  if (over <= 0) refuse("");
  grow();
}

/** Return by how many characters a text is too long; they are counted where it matters. */
function excess(text) {
  const near = text.length > limit * 0.9 && text.length < limit * 2;
  return (near ? [...text].length : text.length) - limit;
}

/** Browsers without `field-sizing` get the height from here. */
function grow() {
  if (CSS.supports("field-sizing", "content") || form.classList.contains("long")) return;
  form.text.style.height = "auto";
  form.text.style.height = `${form.text.scrollHeight}px`;
}

/** Return the agent that the person has chosen, "" for the one that would be asked anyway. */
function chosen() {
  const option = form.agent.selectedOptions[0];
  return option?.defaultSelected ? "" : form.agent.value;
}

/** Choose the draft's agent in a list that is new. */
function choose() {
  const option = [...form.agent.options].find(({ value }) => value === draft.agent);
  if (option) option.selected = true;
}

/** See what the server has shown: another list of agents, or the very message that was sent. */
function settle() {
  choose();
  if (document.getElementById(`message-${draft.id}`)) cleared();
}

function repeat() {
  clearTimeout(retry);
  if (unclear && unclear === draft.id) send();
}

async function send() {
  // Whoever is faster than the network: the next message goes when this one is accepted.
  again = sending;
  const { text, id } = draft;
  if (sending || !text.trim()) return;
  if (excess(text) > 0) {
    return refuse(`A message holds at most ${number.format(limit)} characters. Send it in parts.`);
  }
  sending = true;
  form.setAttribute("aria-busy", "true");
  try {
    await deliver(text, id);
  } catch (error) {
    failed(error, id);
  }
  sending = false;
  form.removeAttribute("aria-busy");
  if (again) send();
}

function failed(error, id) {
  again = false;
  if (id !== draft.id) return; // it was accepted after all, or is another one by now
  unclear = error.unclear ? id : "";
  if (unclear) retry = setTimeout(repeat, AGAIN_MS);
  refuse(
    unclear ? "Parley cannot be reached. Your message goes out as soon as it can." : error.message,
  );
}

async function deliver(text, id) {
  const agent = form.agent.value;
  const thread = here || (await newThread(id, agent));
  const message = { id, text, agent_id: agent, client_id: id };
  await call("POST", `/api/threads/${thread}/messages`, message);
  if (!here) {
    draft.accepted(id);
    return location.assign(`/t/${thread}`);
  }
  if (id === draft.id) cleared();
}

/** The draft is accepted: empty the box. */
function cleared() {
  draft.accepted(draft.id);
  unclear = "";
  form.text.value = "";
  written();
  toEnd();
}

/** Make the thread under the draft's id, so that trying again makes no second one. */
async function newThread(id, agent) {
  const thread = await call("POST", "/api/threads", { id, agent_id: agent });
  return thread.id;
}
