// Where the focus goes when what had it is gone.

const fingers = matchMedia("(pointer: coarse)");

/** Return the box; nothing where it would bring up a keyboard on the screen. */
export function fallback() {
  return fingers.matches ? null : document.getElementById("text");
}
