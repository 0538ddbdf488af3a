/** What was used: by day, by model and by session, in the calendar of whoever looks. */

import {RemoteStore} from './remote-store.js';
import {everyDay, offsetName, today} from './usage-days.js';

/**
 * @typedef {object} UsageState
 * @property {number} days how far back
 * @property {import('./usage-days.js').Day[]} daily every day of the span, the oldest first
 * @property {any} totals
 * @property {any[]} models the most used first
 * @property {any[]} sessions the most used first
 */

/** @extends {RemoteStore<UsageState>} */
export class UsageStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {days: 30, daily: [], totals: {}, models: [], sessions: []});
  }

  async read() {
    const {days} = this.state;
    const endDate = today();
    const span = {days, endDate, mode: 'specific', utcOffset: offsetName(-new Date().getTimezoneOffset())};
    const [cost, used] = await Promise.all([
      this.connection.request('usage.cost', span),
      this.connection.request('sessions.usage', {...span, limit: 1000}),
    ]);
    const size = (/** @type {any} */ {usage}) => usage?.totalTokens ?? 0;
    return {
      daily: everyDay(cost?.daily ?? [], endDate, days),
      totals: cost?.totals ?? {},
      models: used?.aggregates?.byModel ?? [],
      sessions: [...(used?.sessions ?? [])].sort((one, other) => size(other) - size(one)).slice(0, 20),
    };
  }

  /** @param {number} days */
  choose(days) {
    this.set({days});
    return this.reload();
  }
}
