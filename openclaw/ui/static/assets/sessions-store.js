/** The sessions there are, and which one is shown. */

import {Store} from './store.js';

const RELOAD_AFTER_MS = 400;

/**
 * @typedef {object} SessionsState
 * @property {any[]} sessions newest first
 * @property {string} mainKey the canonical key of the main session; empty before the first hello
 * @property {string} current the canonical key of the session on screen
 */

/** @extends {Store<SessionsState>} */
export class SessionsStore extends Store {
  #timer = 0;

  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super({sessions: [], mainKey: '', current: ''});
    this.connection = connection;
    connection.addEventListener('ready', (event) => {
      const defaults = /** @type {CustomEvent} */ (event).detail?.snapshot?.sessionDefaults ?? {};
      const mainKey = String(defaults.mainSessionKey ?? 'main');
      this.set({mainKey, current: this.state.current || mainKey});
      this.reload();
    });
    connection.addEventListener('gateway', (event) => {
      const {event: name, payload} = /** @type {CustomEvent} */ (event).detail;
      if (name === 'chat' && payload?.state !== 'delta') this.#reloadSoon();
    });
  }

  /** @param {string} key an empty key means the main session */
  show(key) {
    const current = key && key !== 'main' ? key : this.state.mainKey;
    if (current !== this.state.current) this.set({current});
  }

  async reload() {
    try {
      const answer = await this.connection.request('sessions.list', {limit: 100, includeGlobal: false, includeUnknown: false});
      const sessions = [...(answer?.sessions ?? [])].sort((a, b) => (b.updatedAt ?? 0) - (a.updatedAt ?? 0));
      this.set({sessions});
    } catch {
      // The list is a convenience: the shown session keeps working without it, and the next event asks again.
    }
  }

  #reloadSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.reload(), RELOAD_AFTER_MS);
  }
}

/**
 * What to call a session.
 * @param {{key: string, displayName?: string, label?: string}} session
 * @param {string} mainKey
 */
export function sessionName(session, mainKey) {
  if (session.label) return session.label;
  if (session.key === mainKey) return 'Main';
  if (session.displayName) return session.displayName;
  const parts = session.key.split(':').slice(2);
  const [channel = session.key, kind = '', ...id] = parts;
  const name = channel.charAt(0).toUpperCase() + channel.slice(1);
  return [name, kind, id.join(':')].filter(Boolean).join(' ');
}
