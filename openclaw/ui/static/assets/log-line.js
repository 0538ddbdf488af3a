/** Pure: one line of the log, as JSON or as plain text, to what is shown of it. */

export const LEVELS = /** @type {const} */ (['debug', 'info', 'warning', 'error']);

/**
 * @typedef {object} Line
 * @property {number} number unique on this page
 * @property {typeof LEVELS[number]} level
 * @property {number} at Unix milliseconds; 0 when unknown
 * @property {string} event
 * @property {string} rest its fields
 * @property {string} text all of it in lower case, for the filter
 */

/** @type {Record<string, typeof LEVELS[number]>} */
const NAMES = {trace: 'debug', debug: 'debug', info: 'info', warn: 'warning', warning: 'warning', error: 'error', critical: 'error', fatal: 'error'};
const SHOWN_ELSEWHERE = new Set(['event', 'level', 'timestamp', 'time', 'ts', 'message', 'msg']);
/** A line longer than this is cut: a page with a megabyte in one line cannot be scrolled. */
const LONGEST = 4000;

/**
 * @param {string} raw
 * @param {number} number
 * @returns {Line}
 */
export function parseLine(raw, number) {
  const text = raw.length > LONGEST ? `${raw.slice(0, LONGEST)}…` : raw;
  /** @type {any} */
  let record = null;
  try {
    record = JSON.parse(raw);
  } catch {
    // Not every program that writes there writes JSON.
  }
  if (!record || typeof record !== 'object' || Array.isArray(record)) {
    return {number, level: 'info', at: 0, event: text, rest: '', text: text.toLowerCase()};
  }
  const rest = Object.entries(record)
    .filter(([name]) => !SHOWN_ELSEWHERE.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('  ');
  return {
    number,
    level: NAMES[String(record.level ?? '').toLowerCase()] ?? 'info',
    at: Date.parse(record.timestamp ?? record.time ?? record.ts) || 0,
    event: String(record.event ?? record.message ?? record.msg ?? ''),
    rest: rest.length > LONGEST ? `${rest.slice(0, LONGEST)}…` : rest,
    text: text.toLowerCase(),
  };
}
