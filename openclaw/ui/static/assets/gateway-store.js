/** What the gateway says of itself: its hello, its health, who is present, who the assistant is. */

import {RemoteStore} from './remote-store.js';

/**
 * @typedef {object} GatewayState
 * @property {import('./connection.js').ConnectionState} connection
 * @property {any} hello null before the first handshake
 * @property {number} helloAt when it came, Unix milliseconds
 * @property {any} health
 * @property {any[]} presence
 * @property {string} assistantName
 */

/** @extends {RemoteStore<GatewayState>} */
export class GatewayStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {
      connection: connection.state,
      hello: null,
      helloAt: 0,
      health: null,
      presence: [],
      assistantName: 'OpenClaw',
    });
    connection.addEventListener('state', () => this.set({connection: connection.state}));
    connection.addEventListener('ready', (event) => this.#greet(/** @type {CustomEvent} */ (event).detail));
    connection.addEventListener('gateway', (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
  }

  /** Whether requests can be made. */
  get canAsk() {
    return this.state.connection.phase === 'ready';
  }

  async read() {
    const ask = (/** @type {string} */ method) => this.connection.request(method);
    const [health, presence] = await Promise.all([ask('health'), ask('system-presence')]);
    return {health, presence: Array.isArray(presence) ? presence : []};
  }

  /** @param {any} hello */
  async #greet(hello) {
    const snapshot = hello?.snapshot ?? {};
    const health = snapshot.health?.ts ? snapshot.health : this.state.health;
    this.set({hello, helloAt: Date.now(), health, presence: snapshot.presence ?? []});
    try {
      const identity = await this.connection.request('agent.identity.get');
      if (identity?.name) this.set({assistantName: String(identity.name)});
    } catch {
      // The name is decoration; the default stands.
    }
  }

  /** @param {{event: string, payload: any}} frame */
  #hear({event, payload}) {
    if (event === 'health') this.set({health: payload});
    else if (event === 'presence') this.set({presence: payload?.presence ?? []});
  }
}
