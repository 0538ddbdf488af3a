/** Words for times, sizes and names. */

import {speech, t} from './i18n.js';

/** @type {Map<string, any>} formats are slow to make */
const made = new Map();

/**
 * @template T
 * @param {string} name
 * @param {(language: string) => T} make
 * @returns {T} the format of that name in the present language
 */
function format(name, make) {
  const {language} = speech.state;
  const key = `${language} ${name}`;
  if (!made.has(key)) made.set(key, make(language));
  return made.get(key);
}

/** @type {Array<[Intl.RelativeTimeFormatUnit, number]>} */
const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
];

/**
 * "5 minutes ago", "in 2 hours".
 * @param {number | null | undefined} at Unix milliseconds
 */
export function ago(at) {
  if (!at) return t('app.never');
  const passed = Date.now() - at;
  const relative = format('relative', (language) => new Intl.RelativeTimeFormat(language, {numeric: 'auto'}));
  for (const [unit, length] of UNITS) {
    if (Math.abs(passed) >= length) return relative.format(-Math.trunc(passed / length), unit);
  }
  return t('app.justNow');
}

/** @param {number} at Unix milliseconds */
export function timeOfDay(at) {
  const when = new Date(at);
  const clock = format('clock', (language) => new Intl.DateTimeFormat(language, {hour: '2-digit', minute: '2-digit'})).format(when);
  if (new Date().toDateString() === when.toDateString()) return clock;
  return `${format('day', (language) => new Intl.DateTimeFormat(language, {dateStyle: 'medium'})).format(when)}, ${clock}`;
}

/** @param {number} at Unix milliseconds */
export const weekday = (at) =>
  format('weekday', (language) => new Intl.DateTimeFormat(language, {weekday: 'long', day: 'numeric', month: 'long'})).format(new Date(at));

/** @param {number} at Unix milliseconds */
export const dateTime = (at) =>
  format('full', (language) => new Intl.DateTimeFormat(language, {dateStyle: 'medium', timeStyle: 'medium'})).format(new Date(at));

/**
 * "2 d 3 h", "4 min".
 * @param {number} ms
 */
export function span(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return t('app.lessThanMinute');
  if (minutes < 60) return t('app.minutes', {m: minutes});
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return t('app.hours', {h: hours, m: minutes % 60});
  return t('app.days', {d: Math.floor(hours / 24), h: hours % 24});
}

/** @param {number} value "128K" */
export const compact = (value) =>
  format('compact', (language) => new Intl.NumberFormat(language, {notation: 'compact', maximumFractionDigits: 1})).format(value);

/** @param {string} scope `operator.admin` → `admin` */
export const scopeName = (scope) => scope.replace(/^operator\./, '');
