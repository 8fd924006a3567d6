// Times in the reader's own zone and language; the server writes UTC.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Write the times of the list anew as days go by. */
export function keepTimes() {
  setInterval(() => localise(document), HOUR_MS);
}

/** Write all times below `root` as people say them. */
export function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = WHOLE.format(at);
    time.textContent = "short" in time.dataset ? short(at) : long(at);
  }
}

function long(at) {
  return isToday(at) ? CLOCK.format(at) : `${short(at)}, ${CLOCK.format(at)}`;
}

function short(at) {
  const now = new Date();
  if (isToday(at)) return CLOCK.format(at);
  if (now - at < 6 * DAY_MS) return WEEKDAY.format(at);
  return (at.getFullYear() === now.getFullYear() ? DAY : YEAR).format(at);
}

function isToday(at) {
  return at.toDateString() === new Date().toDateString();
}
