/** State that lives on the gateway: read when somebody looks, read again after a loss, changed by requests. */

import {ConnectionLost} from './connection.js';
import {Store} from './store.js';

/**
 * Why something could not be read: `denied` a right is missing · `absent` the gateway has no such method · `failed`.
 * @typedef {{kind: 'denied' | 'absent' | 'failed', message: string, scope: string}} Trouble
 */

/**
 * @param {unknown} error
 * @returns {Trouble}
 */
export function troubleOf(error) {
  const {message} = /** @type {Error} */ (error);
  const scope = /^missing scope: (\S+)/.exec(message)?.[1] ?? '';
  return {kind: scope ? 'denied' : message.startsWith('unknown method') ? 'absent' : 'failed', message, scope};
}

/**
 * @typedef {object} Remote
 * @property {boolean} ready something was read
 * @property {boolean} reading
 * @property {Trouble | null} trouble why the last reading failed
 * @property {string} error why the last action failed
 * @property {string} said what the last action did, for the live region
 * @property {Set<string>} busy ids of what an action is under way for
 */

/** @returns {Remote} */
const nothing = () => ({ready: false, reading: false, trouble: null, error: '', said: '', busy: new Set()});

/**
 * @template {object} S
 * @extends {Store<S & Remote>}
 */
export class RemoteStore extends Store {
  #wanted = false;
  #always = false;
  #again = 0;

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {S} initial
   * @param {{always?: boolean, on?: (event: string) => boolean}} [options] `always`: read without anybody looking;
   *   `on`: which gateway events make it old
   */
  constructor(connection, initial, {always = false, on = () => false} = {}) {
    super({...nothing(), ...initial});
    this.connection = connection;
    this.#wanted = this.#always = always;
    const again = () => this.#wanted && this.reload();
    connection.addEventListener('ready', again);
    connection.addEventListener('gap', again);
    connection.addEventListener('gateway', (event) => {
      if (on(/** @type {CustomEvent} */ (event).detail.event)) again();
    });
  }

  /** Somebody looks: from now on this is kept up to date. */
  open() {
    this.#wanted = true;
    return this.reload();
  }

  /** Nobody looks any more. */
  close() {
    this.#wanted = this.#always;
  }

  /**
   * To be overridden: ask, and give the part of the state that the answers make.
   * @returns {Promise<Partial<S>>}
   */
  async read() {
    return {};
  }

  async reload() {
    if (this.connection.state.phase !== 'ready') return;
    if (this.state.reading) {
      // What is under way may have been asked before the change.
      this.#again += 1;
      return;
    }
    this.set({reading: true});
    try {
      do {
        this.#again = 0;
        const change = await this.read();
        this.set({.../** @type {any} */ (change), ready: true, trouble: null});
      } while (this.#again);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) this.set({trouble: troubleOf(error)});
    } finally {
      this.set({reading: false});
    }
  }

  /**
   * Carry out one action; the state is read again after it, whatever came of it.
   * @param {string} id of what it is done to
   * @param {string} method
   * @param {object} params
   * @param {string | ((answer: any) => string)} said what to say of it
   * @param {{timeoutMs?: number}} [options]
   * @returns {Promise<any>} the answer, or null when it failed
   */
  async act(id, method, params, said, options) {
    this.set({busy: new Set([...this.state.busy, id]), error: '', said: ''});
    try {
      const answer = (await this.connection.request(method, params, options)) ?? {};
      this.set({said: typeof said === 'function' ? said(answer) : said});
      await this.reload();
      return answer;
    } catch (error) {
      await this.reload();
      this.set({error: /** @type {Error} */ (error).message});
      return null;
    } finally {
      const busy = new Set(this.state.busy);
      busy.delete(id);
      this.set({busy});
    }
  }
}
