/** Commands that wait for a decision, what was decided lately, and what is allowed for good. */

import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

const KEPT = 8;
const LOOK_EVERY_MS = 1000;

/** @typedef {'allow-once' | 'allow-always' | 'deny'} Decision */

/**
 * @typedef {object} Decided
 * @property {string} id
 * @property {string} command
 * @property {Decision | 'expired'} decision
 * @property {string} by who decided; empty when it was this page, or nobody
 * @property {number} at Unix milliseconds by the gateway's clock
 */

/**
 * @typedef {object} ApprovalsState
 * @property {any[]} waiting requests as the protocol has them, oldest first
 * @property {Decided[]} decided newest first; only what this page saw
 */

/** @extends {RemoteStore<ApprovalsState>} */
export class ApprovalsStore extends RemoteStore {
  /** @type {Set<string>} what this page decided */
  #own = new Set();

  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {waiting: [], decided: []}, {always: true});
    setInterval(() => this.#expire(), LOOK_EVERY_MS);
    connection.addEventListener('gateway', (event) => {
      const {event: name, payload} = /** @type {CustomEvent} */ (event).detail;
      if (name === 'exec.approval.requested') this.#asked(payload);
      if (name === 'exec.approval.resolved') this.#resolved(payload);
    });
  }

  async read() {
    const {approvals = []} = await this.connection.request('exec.approval.list');
    const gone = new Set(this.state.decided.map(({id}) => id));
    const waiting = approvals.filter((/** @type {any} */ one) => !gone.has(one.id));
    return {waiting: waiting.sort((/** @type {any} */ a, /** @type {any} */ b) => a.createdAtMs - b.createdAtMs)};
  }

  /**
   * @param {any} approval
   * @param {Decision} decision
   */
  async decide(approval, decision) {
    const {id} = approval;
    this.#own.add(id);
    const answer = await this.act(id, 'exec.approval.resolve', {id, decision}, t('approvals.saidDecided', {decision: decisionName(decision)}));
    const known = this.state.decided.find((one) => one.id === id);
    if (answer && !known) this.#settle(approval, decision, '');
    // Somebody was quicker: that is an answer, not a failure.
    else if (!answer && known?.by) {
      this.set({error: '', said: t('approvals.elsewhere', {decision: decisionName(known.decision), who: known.by})});
    }
    if (!answer) this.#own.delete(id);
  }

  /** The gateway sends no event when the time of a request is over. */
  #expire() {
    const now = this.connection.now();
    for (const approval of this.state.waiting) if (approval.expiresAtMs <= now) this.#settle(approval, 'expired', '');
  }

  /** @param {any} approval */
  #asked(approval) {
    if (!approval?.id || !approval.request || this.state.waiting.some(({id}) => id === approval.id)) return;
    this.set({waiting: [...this.state.waiting, approval], said: t('approvals.saidAsked')});
  }

  /** @param {any} payload */
  #resolved(payload) {
    const by = this.#own.has(payload?.id) ? '' : String(payload?.resolvedBy ?? '');
    this.#settle(payload, payload?.decision ?? 'expired', by);
  }

  /**
   * @param {any} approval
   * @param {Decision | 'expired'} decision
   * @param {string} by
   */
  #settle({id, request}, decision, by) {
    const waiting = this.state.waiting.filter((one) => one.id !== id);
    const entry = {id, command: String(request?.command ?? ''), decision, by, at: this.connection.now()};
    const others = this.state.decided.filter((one) => one.id !== id);
    this.set({waiting, decided: [entry, ...others].slice(0, KEPT)});
  }
}

/** @param {string} decision */
export const decisionName = (decision) => t(`approvals.${decision === 'deny' ? 'denied' : decision}`);
