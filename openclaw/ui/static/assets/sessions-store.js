/** The sessions there are, which one is shown in the chat, and what can be done to them. */

import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

const RELOAD_AFTER_MS = 400;
const LIMIT = 500;

/**
 * @typedef {object} SessionsState
 * @property {any[]} sessions newest first
 * @property {string} mainKey the canonical key of the main session; empty before the first hello
 * @property {string} current the canonical key of the session on screen
 */

/** @extends {RemoteStore<SessionsState>} */
export class SessionsStore extends RemoteStore {
  #timer = 0;

  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {sessions: [], mainKey: '', current: ''}, {always: true});
    connection.addEventListener('ready', (event) => {
      const defaults = /** @type {CustomEvent} */ (event).detail?.snapshot?.sessionDefaults ?? {};
      const mainKey = String(defaults.mainSessionKey ?? 'main');
      this.set({mainKey, current: this.state.current || mainKey});
    });
    connection.addEventListener('gateway', (event) => {
      const {event: name, payload} = /** @type {CustomEvent} */ (event).detail;
      if (name === 'chat' && payload?.state !== 'delta') this.#reloadSoon();
    });
  }

  async read() {
    const params = {limit: LIMIT, includeGlobal: false, includeUnknown: false, includeDerivedTitles: true, includeLastMessage: true};
    const answer = await this.connection.request('sessions.list', params);
    return {sessions: [...(answer?.sessions ?? [])].sort((a, b) => (b.updatedAt ?? 0) - (a.updatedAt ?? 0))};
  }

  /** @param {string} key an empty key means the main session */
  show(key) {
    const current = key && key !== 'main' ? key : this.state.mainKey;
    if (current !== this.state.current) this.set({current});
  }

  /** @param {any} session */
  nameOf(session) {
    return sessionName(session, this.state.mainKey);
  }

  /**
   * @param {any} session
   * @param {string} label empty takes it away
   */
  rename({key}, label) {
    return this.act(key, 'sessions.patch', {key, label: label || null}, t('sessions.saidNamed'));
  }

  /** @param {any} session */
  reset(session) {
    const {key} = session;
    return this.act(key, 'sessions.reset', {key}, t('sessions.saidReset', {name: this.nameOf(session)}));
  }

  /** @param {any} session */
  delete(session) {
    const {key} = session;
    return this.act(key, 'sessions.delete', {key, deleteTranscript: true}, t('sessions.saidDeleted', {name: this.nameOf(session)}));
  }

  /** @param {any} session */
  compact(session) {
    const {key} = session;
    const name = this.nameOf(session);
    const said = (/** @type {any} */ {compacted}) => t(compacted ? 'sessions.saidCompacted' : 'sessions.saidNotCompacted', {name});
    return this.act(key, 'sessions.compact', {key}, said, {timeoutMs: 120_000});
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
  if (session.key === mainKey) return t('chat.main');
  if (session.displayName) return session.displayName;
  const parts = session.key.split(':').slice(2);
  const [channel = session.key, kind = '', ...id] = parts;
  const name = channel.charAt(0).toUpperCase() + channel.slice(1);
  return [name, kind, id.join(':')].filter(Boolean).join(' ');
}
