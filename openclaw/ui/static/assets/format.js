/** Words for times and names. */

const relative = new Intl.RelativeTimeFormat('en', {numeric: 'auto'});
const clock = new Intl.DateTimeFormat(undefined, {hour: '2-digit', minute: '2-digit'});
const day = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium'});
const full = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'});

/** @type {Array<[Intl.RelativeTimeFormatUnit, number]>} */
const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
];

/**
 * "5 minutes ago".
 * @param {number | null | undefined} at Unix milliseconds
 */
export function ago(at) {
  if (!at) return 'never';
  const passed = Date.now() - at;
  for (const [unit, length] of UNITS) {
    if (Math.abs(passed) >= length) return relative.format(-Math.trunc(passed / length), unit);
  }
  return 'just now';
}

/** @param {number} at Unix milliseconds */
export function timeOfDay(at) {
  const when = new Date(at);
  const today = new Date().toDateString() === when.toDateString();
  return today ? clock.format(when) : `${day.format(when)}, ${clock.format(when)}`;
}

/** @param {number} at Unix milliseconds */
export const dateTime = (at) => full.format(new Date(at));

/**
 * "2 d 3 h", "4 min".
 * @param {number} ms
 */
export function span(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return 'less than a minute';
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** @param {string} scope `operator.admin` → `admin` */
export const scopeName = (scope) => scope.replace(/^operator\./, '');
