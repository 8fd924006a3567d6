// Light, dark, or as the system: kept in the browser, set before the first paint by early.js.

import { note } from "./notes.js";

const ORDER = ["system", "light", "dark"];
const SAID = {
  system: "Colours as the system has them.",
  light: "Light colours.",
  dark: "Dark colours.",
};

/** Go on to the next choice and say which it is. */
export function changeTheme() {
  const current = localStorage.getItem("theme") ?? "system";
  const next = ORDER[(ORDER.indexOf(current) + 1) % ORDER.length];
  if (next === "system") {
    localStorage.removeItem("theme");
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem("theme", next);
    document.documentElement.dataset.theme = next;
  }
  note(SAID[next]);
}
