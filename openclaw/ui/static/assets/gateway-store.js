/** What the gateway says of itself: its hello, its health, who is present, who the assistant is. */

import {Store} from './store.js';

/**
 * @typedef {object} GatewayState
 * @property {import('./connection.js').ConnectionState} connection
 * @property {any} hello null before the first handshake
 * @property {number} helloAt when it came, Unix milliseconds
 * @property {any} health
 * @property {any} channels the answer of channels.status
 * @property {any[]} presence
 * @property {string} assistantName
 * @property {boolean} refreshing
 * @property {string} error
 */

/** @extends {Store<GatewayState>} */
export class GatewayStore extends Store {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super({
      connection: connection.state,
      hello: null,
      helloAt: 0,
      health: null,
      channels: null,
      presence: [],
      assistantName: 'OpenClaw',
      refreshing: false,
      error: '',
    });
    this.connection = connection;
    connection.addEventListener('state', () => this.set({connection: connection.state}));
    connection.addEventListener('ready', (event) => this.#greet(/** @type {CustomEvent} */ (event).detail));
    connection.addEventListener('gateway', (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
  }

  /** Whether requests can be made. */
  get ready() {
    return this.state.connection.phase === 'ready';
  }

  async refresh() {
    if (!this.ready) return;
    this.set({refreshing: true, error: ''});
    const ask = (/** @type {string} */ method) => this.connection.request(method);
    const [health, channels, presence] = await Promise.allSettled([ask('health'), ask('channels.status'), ask('system-presence')]);
    const failed = [health, channels, presence].find((answer) => answer.status === 'rejected');
    this.set({
      ...(health.status === 'fulfilled' && {health: health.value}),
      ...(channels.status === 'fulfilled' && {channels: channels.value}),
      ...(presence.status === 'fulfilled' && Array.isArray(presence.value) && {presence: presence.value}),
      refreshing: false,
      error: failed?.status === 'rejected' ? failed.reason.message : '',
    });
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
