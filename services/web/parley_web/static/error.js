// The error page: a deleted thread can be brought back.

import { call } from "./api.js";

const button = document.querySelector("[data-restore]");
const refusal = document.getElementById("refusal");

button?.addEventListener("click", async () => {
  try {
    await call("POST", `/api/threads/${button.dataset.restore}/restore`);
    location.reload();
  } catch (error) {
    refusal.textContent = error.message;
    refusal.hidden = false;
  }
});

// Whoever came while Parley was starting is let in as soon as it is there.
const PAUSE_MS = 2000;
if (document.querySelector("[data-waits]")) setInterval(goOn, PAUSE_MS);

async function goOn() {
  const { ok } = await fetch("/readyz").catch(() => ({ ok: false }));
  if (ok) location.reload();
}
