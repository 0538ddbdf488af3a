/** Pure: days of a calendar, and where the bars of a chart stand. */

/**
 * @typedef {object} Day
 * @property {string} date `2026-02-26`
 * @property {number} read tokens that a model was given anew
 * @property {number} cached tokens that it knew already
 * @property {number} written tokens of its answers
 */

/** @param {number} minutes east of UTC; `540` → `UTC+9`, `-330` → `UTC-05:30` */
export function offsetName(minutes) {
  const [whole, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const sign = minutes < 0 ? '-' : '+';
  return `UTC${sign}${rest ? `${String(whole).padStart(2, '0')}:${String(rest).padStart(2, '0')}` : whole}`;
}

/** The present day of this browser's calendar. */
export function today(now = new Date()) {
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, '0')).join('-');
}

/**
 * Every day of a span, also those on which nothing was used.
 * @param {any[]} rows the gateway's, only of days with any use
 * @param {string} end
 * @param {number} days
 * @returns {Day[]}
 */
export function everyDay(rows, end, days) {
  const found = new Map(rows.map((row) => [row.date, row]));
  return Array.from({length: days}, (_, index) => {
    // Days are counted in UTC, where each has 24 hours; only the name of the day matters.
    const date = new Date(Date.parse(`${end}T00:00:00Z`) - (days - 1 - index) * 86_400_000).toISOString().slice(0, 10);
    const {input = 0, cacheRead = 0, output = 0} = found.get(date) ?? {};
    return {date, read: input, cached: cacheRead, written: output};
  });
}

/** @param {Day} day */
export const sum = ({read, cached, written}) => read + cached + written;

/**
 * Heights of the three parts of each bar, the largest bar being `height` high.
 * @param {Day[]} days
 * @param {number} height
 */
export function bars(days, height) {
  const most = Math.max(1, ...days.map(sum));
  return days.map((day) => {
    const [read, cached, written] = [day.read, day.cached, day.written].map((value) => (value / most) * height);
    return {day, parts: [cached, read, written]};
  });
}
