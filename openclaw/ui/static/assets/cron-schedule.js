/** Pure: schedules and payloads of jobs to words and form fields, and back. */

import {dateTime} from './format.js';
import {t} from './i18n.js';

/** @type {[string, number][]} */
const UNITS = [
  ['Days', 86_400_000],
  ['Hours', 3_600_000],
  ['Minutes', 60_000],
];

/**
 * @typedef {object} Draft what stands in the form
 * @property {string} name
 * @property {'cron' | 'every' | 'at'} kind
 * @property {string} expr
 * @property {string} tz
 * @property {string} count
 * @property {'Minutes' | 'Hours' | 'Days'} unit
 * @property {string} at as an input of a local time has it
 * @property {string} message
 * @property {'isolated' | 'main'} target
 * @property {boolean} deliver
 */

/** @param {any} schedule */
export function scheduleText(schedule) {
  if (schedule?.kind === 'at') return t('cron.once', {when: dateTime(Date.parse(schedule.at))});
  if (schedule?.kind === 'cron') return [schedule.expr, schedule.tz].filter(Boolean).join(' · ');
  const ms = Number(schedule?.everyMs) || 0;
  const [unit, length] = UNITS.find(([, size]) => ms >= size && ms % size === 0) ?? ['Seconds', 1000];
  return t(`cron.every${unit}`, {n: ms / length});
}

/** @param {any} job */
export const jobText = (job) => String(job.payload?.message ?? job.payload?.text ?? '');

/**
 * @param {any} [job] none makes an empty form
 * @returns {Draft}
 */
export function draftOf(job) {
  const schedule = job?.schedule ?? {kind: 'cron', expr: '0 9 * * 1-5', tz: Intl.DateTimeFormat().resolvedOptions().timeZone};
  const ms = Number(schedule.everyMs) || 3_600_000;
  const [unit, length] = UNITS.find(([, size]) => ms % size === 0) ?? UNITS[2];
  return {
    name: job?.name ?? '',
    kind: schedule.kind,
    expr: schedule.expr ?? '0 9 * * 1-5',
    tz: schedule.tz ?? '',
    count: String(ms / length),
    unit: /** @type {Draft['unit']} */ (unit),
    at: schedule.at ? localInput(Date.parse(schedule.at)) : '',
    message: job ? jobText(job) : '',
    target: job?.sessionTarget ?? 'isolated',
    deliver: job ? job.delivery?.mode === 'announce' : true,
  };
}

/** @param {number} at Unix milliseconds */
function localInput(at) {
  const when = new Date(at);
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}T${two(when.getHours())}:${two(when.getMinutes())}`;
}

/**
 * @param {Draft} draft
 * @param {number} now Unix milliseconds
 * @returns {Record<string, string>} what is wrong, by field: the key of a text
 */
export function problemsOf(draft, now) {
  /** @type {Record<string, string>} */
  const problems = {};
  if (!draft.name.trim()) problems.name = 'cron.needName';
  if (!draft.message.trim()) problems.message = 'cron.needMessage';
  if (draft.kind === 'cron' && draft.expr.trim().split(/\s+/).length !== 5) problems.expr = 'cron.needExpr';
  if (draft.kind === 'at' && !(Date.parse(draft.at) > now)) problems.at = 'cron.needAt';
  if (draft.kind === 'every' && !(everyMs(draft) >= 60_000)) problems.count = 'cron.needEvery';
  return problems;
}

/** @param {Draft} draft */
const everyMs = ({count, unit}) => Math.round(Number(count) * (UNITS.find(([name]) => name === unit)?.[1] ?? 0));

/**
 * @param {Draft} draft
 * @param {any} [job] what it was before: what the form does not show is kept
 * @returns {any} fields of a job
 */
export function fieldsOf(draft, job) {
  const main = draft.target === 'main';
  const before = job?.payload ?? {};
  const message = draft.message.trim();
  return {
    name: draft.name.trim(),
    ...(!job && {enabled: true, wakeMode: 'now'}),
    schedule: scheduleOf(draft),
    sessionTarget: draft.target,
    payload: main
      ? {kind: 'systemEvent', text: message}
      : {...(before.kind === 'agentTurn' ? before : {}), kind: 'agentTurn', message},
    ...(!main && {delivery: draft.deliver ? {...(job?.delivery?.mode === 'announce' ? job.delivery : {}), mode: 'announce'} : {mode: 'none'}}),
  };
}

/** @param {Draft} draft */
function scheduleOf(draft) {
  if (draft.kind === 'at') return {kind: 'at', at: new Date(draft.at).toISOString()};
  if (draft.kind === 'every') return {kind: 'every', everyMs: everyMs(draft)};
  return {kind: 'cron', expr: draft.expr.trim().split(/\s+/).join(' '), ...(draft.tz.trim() && {tz: draft.tz.trim()})};
}
