/** The conversations: one `Chat` a session, kept up to date from the gateway's events. */

import {emptyChat, withChatEvent, withEcho, withEchoChanged, withHistory, withoutEcho, withoutRuns, withRun, withTool} from './chat-state.js';
import {ConnectionLost} from './connection.js';
import {t} from './i18n.js';
import {Store} from './store.js';

const HISTORY_LIMIT = 200;
const RELOAD_AFTER_MS = 250;

/**
 * @typedef {object} ChatsState
 * @property {Record<string, import('./chat-state.js').Chat>} chats by canonical session key
 * @property {string} said what a screen reader should hear
 */

/** @extends {Store<ChatsState>} */
export class ChatStore extends Store {
  /** @type {Map<string, string>} what is typed and not sent, by session key */
  drafts = new Map();

  /** @type {Map<string, number>} */
  #timers = new Map();
  /** @type {Map<string, number>} how many runs of a session have ended: a history asked for before the last end is old */
  #ends = new Map();
  /** @type {Map<string, number>} histories being read, and the count of ends when they were asked for */
  #reading = new Map();

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {import('./sessions-store.js').SessionsStore} sessions
   */
  constructor(connection, sessions) {
    super({chats: {}, said: ''});
    this.connection = connection;
    this.sessions = sessions;
    connection.addEventListener('ready', () => this.#resume());
    connection.addEventListener('gap', () => this.load(sessions.state.current));
    connection.addEventListener('gateway', (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
    sessions.watch(() => this.#follow());
  }

  /**
   * @param {string} key
   * @returns {import('./chat-state.js').Chat}
   */
  chat(key) {
    return this.state.chats[key] ?? emptyChat();
  }

  /** @param {string} key */
  async load(key) {
    const ends = this.#ends.get(key) ?? 0;
    if (!key || this.connection.state.phase !== 'ready' || this.#reading.get(key) === ends) return;
    clearTimeout(this.#timers.get(key));
    this.#reading.set(key, ends);
    const askedAt = this.connection.now();
    try {
      const answer = await this.connection.request('chat.history', {sessionKey: key, limit: HISTORY_LIMIT});
      if ((this.#ends.get(key) ?? 0) !== ends) this.#loadSoon(key);
      else this.#update(key, (chat) => withHistory(chat, answer?.messages ?? [], askedAt));
    } catch (error) {
      if (error instanceof ConnectionLost) return;
      this.#update(key, (chat) => ({...chat, phase: 'failed', error: /** @type {Error} */ (error).message}));
    } finally {
      if (this.#reading.get(key) === ends) this.#reading.delete(key);
    }
  }

  /**
   * @param {string} key
   * @param {string} text
   */
  send(key, text) {
    return this.#deliver(key, {id: crypto.randomUUID(), text, at: this.connection.now(), status: 'sending', error: ''});
  }

  /**
   * Send a failed message again. Its idempotency key stays, so it cannot be answered twice.
   * @param {string} key
   * @param {import('./chat-state.js').Echo} echo
   */
  resend(key, echo) {
    return this.#deliver(key, {...echo, status: 'sending', error: ''});
  }

  /**
   * @param {string} key
   * @param {string} id
   */
  discard(key, id) {
    this.#update(key, (chat) => withoutEcho(chat, id));
  }

  /** @param {string} key */
  async abort(key) {
    if (!this.chat(key).runs.length) return;
    try {
      await this.connection.request('chat.abort', {sessionKey: key});
      this.set({said: t('chat.saidStopped')});
    } catch (error) {
      this.set({said: /** @type {Error} */ (error).message});
    }
  }

  /**
   * @param {string} key
   * @param {import('./chat-state.js').Echo} echo
   */
  async #deliver(key, echo) {
    this.#update(key, (chat) => withEcho(chat, echo));
    try {
      const params = {sessionKey: key, message: echo.text, idempotencyKey: echo.id};
      const answer = await this.connection.request('chat.send', params);
      if (answer?.status === 'started' || answer?.status === 'in_flight') this.#accepted(key, echo.id);
      else this.#settled(key, echo.id);
    } catch (error) {
      // After a loss the echo stays "sending": it is sent again, with the same key, once the gateway is back.
      if (error instanceof ConnectionLost) return;
      const reason = /** @type {Error} */ (error).message;
      this.#update(key, (chat) => withEchoChanged(chat, echo.id, {status: 'failed', error: reason}));
    }
  }

  /**
   * @param {string} key
   * @param {string} id
   */
  #accepted(key, id) {
    // The events may have overtaken the answer: an echo that is gone is done, and one that is queued stays queued.
    this.#update(key, (chat) => {
      const echo = chat.echoes.find((one) => one.id === id);
      if (echo?.status !== 'sending') return chat;
      const accepted = withEchoChanged(chat, id, {status: 'accepted'});
      return chat.runs.length ? accepted : withRun(accepted, id, this.connection.now());
    });
  }

  /**
   * Answered without a run (a stop word, or a repeat of something finished).
   * @param {string} key
   * @param {string} id
   */
  #settled(key, id) {
    this.#update(key, (chat) => withEchoChanged(chat, id, {status: 'accepted'}));
    this.#loadSoon(key);
  }

  /** @param {{event: string, payload: any}} frame */
  #hear({event, payload}) {
    if (!payload?.sessionKey || !payload.runId) return;
    const key = payload.sessionKey === 'main' ? this.sessions.state.mainKey : payload.sessionKey;
    // A session that was never looked at is read when it is.
    if (!this.state.chats[key]) return;
    if (event === 'chat') this.#hearChat(key, payload);
    else if (event === 'agent' && payload.stream === 'tool') this.#update(key, (chat) => withTool(chat, payload.runId, payload.data ?? {}, this.connection.now()));
    else if (event === 'agent' && payload.stream === 'lifecycle' && payload.data?.phase === 'start') this.#hearStart(key, payload.runId);
  }

  /**
   * @param {string} key
   * @param {any} payload
   */
  #hearChat(key, payload) {
    const foreign = payload.state === 'delta' && !this.#knows(key, payload.runId);
    if (payload.state !== 'delta') this.#ends.set(key, (this.#ends.get(key) ?? 0) + 1);
    this.#update(key, (chat) => withChatEvent(chat, payload, this.connection.now()));
    if (foreign || payload.state !== 'delta') this.#loadSoon(key);
    if (key === this.sessions.state.current) this.#say(key, payload);
  }

  /**
   * @param {string} key
   * @param {string} runId
   */
  #hearStart(key, runId) {
    const foreign = !this.#knows(key, runId);
    this.#update(key, (chat) => withRun(chat, runId, this.connection.now()));
    // Somebody else's message started it, or a queued one: only the history knows its text.
    if (foreign) this.#loadSoon(key);
  }

  /**
   * @param {string} key
   * @param {string} runId
   */
  #knows(key, runId) {
    const chat = this.chat(key);
    return chat.runs.some((run) => run.id === runId) || chat.echoes.some((echo) => echo.id === runId);
  }

  /**
   * Deltas would be read out over and over; the end is read once.
   * @param {string} key
   * @param {any} payload
   */
  #say(key, payload) {
    if (payload.state === 'final' && payload.message) this.set({said: this.chat(key).messages.at(-1)?.text ?? ''});
    else if (payload.state === 'error') this.set({said: t('chat.runFailed', {reason: payload.errorMessage ?? ''})});
  }

  /** A session that comes on screen for the first time is read. */
  #follow() {
    const {current} = this.sessions.state;
    if (current && !this.state.chats[current]) {
      this.#update(current, (chat) => chat);
      this.load(current);
    }
  }

  async #resume() {
    for (const [key, chat] of Object.entries(this.state.chats)) {
      this.#update(key, withoutRuns);
      const unsent = chat.echoes.filter((echo) => echo.status === 'sending');
      await this.load(key);
      for (const echo of unsent) if (this.chat(key).echoes.some(({id}) => id === echo.id)) this.#deliver(key, echo);
    }
  }

  /** @param {string} key */
  #loadSoon(key) {
    clearTimeout(this.#timers.get(key));
    this.#timers.set(key, setTimeout(() => this.load(key), RELOAD_AFTER_MS));
  }

  /**
   * @param {string} key
   * @param {(chat: import('./chat-state.js').Chat) => import('./chat-state.js').Chat} change
   */
  #update(key, change) {
    const before = this.chat(key);
    const after = change(before);
    if (after !== before || !this.state.chats[key]) this.set({chats: {...this.state.chats, [key]: after}});
  }
}
