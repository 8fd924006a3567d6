// Calls of the JSON API.

const PATIENCE_MS = 15_000; // longer than the service itself waits for an answer

/** A refusal; `message` is a sentence for people, `status` the HTTP status, 0 without an answer. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether nobody can tell if it was carried out; asking again is the way to know. */
  get unclear() {
    return this.status === 0 || this.status === 503;
  }
}

/** Call the API and return its JSON. Throws Refusal; goes to the sign-in page when signed out. */
export async function call(method, path, body) {
  const response = await fetched(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  return response.status === 204 ? null : response.json();
}

/** Fetch a fragment of the page and return its nodes. */
export async function fragment(path) {
  const response = await fetched(path, {});
  return nodesOf(await response.text());
}

/** Return HTML of our own server as nodes. */
export function nodesOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/** Return a fresh random id. `crypto.randomUUID` is missing on plain HTTP, on a phone for example. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function fetched(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout?.(PATIENCE_MS) });
  } catch (error) {
    throw new Refusal(
      error.name === "TimeoutError"
        ? "Parley does not answer. Try again in a moment."
        : "Parley cannot be reached. Check that it runs, then try again.",
      0,
    );
  }
  if (response.ok) return response;
  if (response.status === 401 && path !== "/api/login") signIn();
  const problem = await response.json().catch(() => ({}));
  throw new Refusal(problem.detail ?? `Parley answered with ${response.status}.`, response.status);
}

function signIn() {
  location.assign(`/signin?next=${encodeURIComponent(location.pathname)}`);
}
