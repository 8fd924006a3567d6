// The sign-in page: a token from the printed link or from the form is posted once, then forgotten.

import { call } from "./api.js";

sessionStorage.removeItem("list"); // whoever signs in next need not see it
const form = document.getElementById("signin");
const refusal = document.getElementById("refusal");
const PREFIX = "#token=";

form.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(form.token.value.trim());
});

if (location.hash.startsWith(PREFIX)) {
  const token = decodeURIComponent(location.hash.slice(PREFIX.length));
  // The token must not stay in the history, nor in the address that somebody may copy.
  history.replaceState(null, "", location.pathname + location.search);
  signIn(token);
} else {
  goOnIfSignedIn();
}

/** The browser withholds the cookie from whoever follows another site's link; from here it is sent. */
async function goOnIfSignedIn() {
  const { ok } = await fetch("/api/sessions");
  if (ok) location.replace(destination());
}

async function signIn(token) {
  refusal.hidden = true;
  if (!token) return refuse("Paste the access token first.");
  form.inert = true;
  try {
    await call("POST", "/api/login", { token });
    location.replace(destination());
  } catch (error) {
    form.inert = false;
    refuse(error.message);
  }
}

function refuse(sentence) {
  refusal.textContent = sentence;
  refusal.hidden = false;
  form.token.select();
}

/** Return where the person wanted to go: a whole address of this site and nothing else. Of a path
 * alone, which may begin with two slashes, the browser would make another site's address. */
function destination() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  if (!URL.canParse(next, location.origin)) return "/";
  const url = new URL(next, location.origin);
  return url.origin === location.origin ? url.href : "/";
}
