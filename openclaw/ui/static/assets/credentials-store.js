/** Sign-ins of the gateway at the model providers: only whether they work and until when, never what they are. */

import {RemoteStore} from './remote-store.js';

const EVERY_MS = 15 * 60_000;

/**
 * @typedef {object} Credential
 * @property {string} id
 * @property {string} label
 * @property {'ok' | 'expiring' | 'expired'} state expiring: it cannot be renewed by itself any more
 * @property {number | null} expiresAtMs
 * @property {string} fix the command to run
 */

/** @extends {RemoteStore<{credentials: Credential[]}>} */
export class CredentialsStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {credentials: []}, {always: true});
    setInterval(() => this.reload(), EVERY_MS);
  }

  async read() {
    const {credentials = []} = await this.connection.request('credentials.status');
    return {credentials};
  }

  /** Those that a person has to renew. */
  get failing() {
    return this.state.credentials.filter(({state}) => state !== 'ok');
  }
}
