/** What every view is: a component that is given the stores and follows some of them. */

import {Watch} from './store.js';
import {LitElement} from './vendor/lit.js';

/**
 * @typedef {object} Stores
 * @property {import('./connection.js').Connection} connection
 * @property {import('./gateway-store.js').GatewayStore} gateway
 * @property {import('./sessions-store.js').SessionsStore} sessions
 * @property {import('./chat-store.js').ChatStore} chats
 * @property {import('./devices-store.js').DevicesStore} devices
 */

export class View extends LitElement {
  /** @type {Record<string, object>} */
  static properties = {stores: {attribute: false}};

  /** @type {readonly ('gateway' | 'sessions' | 'chats' | 'devices')[]} which stores re-render it */
  static watches = [];

  /** @type {Watch | null} */
  #watch = null;

  constructor() {
    super();
    /** @type {Stores} */
    this.stores = /** @type {any} */ (null);
  }

  willUpdate() {
    if (this.#watch || !this.stores) return;
    const {watches} = /** @type {typeof View} */ (this.constructor);
    this.#watch = new Watch(this, ...watches.map((name) => this.stores[name]));
  }
}
