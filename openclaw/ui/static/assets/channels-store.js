/** Channels, their accounts, and what a probe said. */

import {RemoteStore} from './remote-store.js';

const PROBE_MS = 20_000;

/**
 * @typedef {object} Channel
 * @property {string} id
 * @property {string} label
 * @property {any[]} accounts
 */

/** @extends {RemoteStore<{channels: Channel[], probing: boolean}>} */
export class ChannelsStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {channels: [], probing: false}, {always: true, on: (event) => event === 'health'});
  }

  async read() {
    return {channels: channelsOf(await this.connection.request('channels.status'))};
  }

  /** Ask the platforms themselves. */
  async probe() {
    this.set({probing: true, error: ''});
    try {
      const answer = await this.connection.request('channels.status', {probe: true, timeoutMs: PROBE_MS / 2}, {timeoutMs: PROBE_MS});
      this.set({channels: channelsOf(answer)});
    } catch (error) {
      this.set({error: /** @type {Error} */ (error).message});
    } finally {
      this.set({probing: false});
    }
  }
}

/**
 * @param {any} answer
 * @returns {Channel[]}
 */
function channelsOf(answer) {
  /** @type {string[]} */
  const ids = answer?.channelOrder ?? Object.keys(answer?.channels ?? {});
  return ids.map((id) => ({
    id,
    label: answer.channelLabels?.[id] ?? id,
    accounts: answer.channelAccounts?.[id] ?? [answer.channels?.[id] ?? {}],
  }));
}

/**
 * @param {any} account
 * @returns {'off' | 'online' | 'connecting' | 'stopped'}
 */
export function accountState(account) {
  if (account.configured === false || account.enabled === false) return 'off';
  if (account.connected ?? account.running) return 'online';
  return account.running ? 'connecting' : 'stopped';
}
