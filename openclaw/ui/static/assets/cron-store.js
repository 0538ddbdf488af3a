/** Jobs that run by themselves, and what became of their runs. */

import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

const HISTORY_LIMIT = 20;

/**
 * @typedef {object} CronState
 * @property {any[]} jobs
 * @property {any} scheduler the answer of cron.status
 * @property {Record<string, any[]>} histories by job id, newest first
 */

/** @extends {RemoteStore<CronState>} */
export class CronStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {jobs: [], scheduler: null, histories: {}}, {always: true, on: (event) => event === 'cron'});
    connection.addEventListener('gateway', (event) => {
      const {event: name, payload} = /** @type {CustomEvent} */ (event).detail;
      if (name === 'cron' && payload?.action === 'finished' && this.state.histories[payload.jobId]) this.readHistory(payload.jobId);
    });
  }

  async read() {
    const list = this.connection.request('cron.list', {includeDisabled: true, limit: 200});
    const [{jobs = []}, scheduler] = await Promise.all([list, this.connection.request('cron.status')]);
    return {jobs, scheduler};
  }

  /** Jobs whose last run failed and that a person may want to look at. */
  get failed() {
    return this.state.jobs.filter((job) => job.enabled && job.state?.lastRunStatus === 'error' && !job.state.runningAtMs);
  }

  /** @param {string} id */
  async readHistory(id) {
    try {
      const {entries = []} = await this.connection.request('cron.runs', {id, limit: HISTORY_LIMIT, sortDir: 'desc'});
      this.set({histories: {...this.state.histories, [id]: entries}});
    } catch (error) {
      this.set({error: /** @type {Error} */ (error).message});
    }
  }

  /**
   * @param {string} id empty makes a new job
   * @param {any} fields
   */
  save(id, fields) {
    const said = t('cron.saidSaved');
    return id ? this.act(id, 'cron.update', {id, patch: fields}, said) : this.act('new', 'cron.add', fields, said);
  }

  /**
   * @param {any} job
   * @param {boolean} enabled
   */
  enable({id}, enabled) {
    return this.act(id, 'cron.update', {id, patch: {enabled}}, t('cron.saidSaved'));
  }

  /** @param {any} job */
  remove({id}) {
    return this.act(id, 'cron.remove', {id}, t('cron.saidDeleted'));
  }

  /** @param {any} job */
  run({id, name}) {
    const said = (/** @type {any} */ {ran, reason}) =>
      ran === false ? t('cron.notStarted', {name, reason: t(`cron.${reason}`)}) : t('cron.saidStarted', {name});
    return this.act(id, 'cron.run', {id, mode: 'force'}, said);
  }
}
