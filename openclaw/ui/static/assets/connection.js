/** The life of the gateway socket: handshake, requests, events, watchdog, and coming back after a loss. */

import {connectParams} from './handshake.js';
import {t} from './i18n.js';
import {isTokenRefused, readRefusal} from './refusal.js';

const FIRST_RETRY_MS = 800;
const RETRY_FACTOR = 1.7;
const LONGEST_RETRY_MS = 15_000;
const HANDSHAKE_MS = 10_000;
const REQUEST_MS = 30_000;
const DEFAULT_TICK_MS = 30_000;
/** A pairing request is dropped by the gateway this long after the last knock. */
const PAIRING_LIFE_MS = 300_000;

const CLOSE_RESTART = 1012;
const CLOSE_TICK_TIMEOUT = 4000;
const CLOSE_REFUSED = 4008;

/**
 * @typedef {object} ConnectionState
 * @property {'idle' | 'connecting' | 'ready' | 'offline' | 'pairing' | 'refused'} phase
 * @property {import('./refusal.js').Refusal | null} refusal why, in the phases pairing and refused
 * @property {boolean} restarting the gateway announced that it comes back
 * @property {number | null} retryAt Unix milliseconds of the next attempt
 * @property {string} detail what the last loss said, for a person who wants to know
 */

/** An answer with `ok: false`. */
export class RequestError extends Error {
  /** @param {import('./refusal.js').WireError} error */
  constructor(error) {
    super(error.message);
    this.name = 'RequestError';
    this.code = error.code;
    this.details = error.details ?? {};
    this.retryable = error.retryable ?? false;
  }
}

/** The connection went away before the answer came; whether the request was carried out is not known. */
export class ConnectionLost extends Error {
  constructor() {
    super(t('app.lostBefore'));
    this.name = 'ConnectionLost';
  }
}

/**
 * Events: `state` whenever `state` changed, `ready` after each handshake (`detail` is hello-ok), `gateway` for each
 * gateway event (`detail` is the frame), `gap` when events were missed.
 */
export class Connection extends EventTarget {
  /** @type {ConnectionState} */
  state = {phase: 'idle', refusal: null, restarting: false, retryAt: null, detail: ''};

  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Map<string, {resolve: (payload: any) => void, reject: (error: Error) => void, timer: number}>} */
  #waiting = new Map();
  /** The gateway's clock minus ours, in milliseconds. */
  #skew = 0;
  #failures = 0;
  #wanted = false;
  #shutdownAnnounced = false;
  #knockedAt = 0;
  /** @type {number | null} */
  #lastSeq = null;
  #tickMs = DEFAULT_TICK_MS;
  #retryTimer = 0;
  #handshakeTimer = 0;
  #watchdogTimer = 0;

  /**
   * @param {string} url
   * @param {import('./device.js').Device} device
   * @param {import('./credentials.js').Credentials} credentials
   */
  constructor(url, device, credentials) {
    super();
    this.url = url;
    this.device = device;
    this.credentials = credentials;
    addEventListener('online', () => this.#wake());
    document.addEventListener('visibilitychange', () => document.hidden || this.#wake());
  }

  /** Connect, and stay connected until `stop`, as far as the gateway lets us. */
  start() {
    this.#wanted = true;
    this.#failures = 0;
    this.#knockedAt = 0;
    if (this.credentials.token) {
      this.#change({phase: 'connecting', refusal: null, detail: ''});
      this.#attempt();
    } else {
      // Knocking without a token would only count as a failed sign-in.
      this.#refuse({kind: 'login', code: 'AUTH_TOKEN_MISSING', message: ''});
    }
  }

  stop() {
    this.#wanted = false;
    this.#drop(1000, 'closed by the page');
    this.#change({phase: 'idle', refusal: null, retryAt: null, restarting: false});
  }

  /** Unix milliseconds by the gateway's clock. */
  now() {
    return Date.now() + this.#skew;
  }

  /** Try now instead of waiting for the timer. */
  retryNow() {
    if (!this.#wanted) this.start();
    else if (!this.#socket) this.#attempt();
  }

  /**
   * @param {string} method
   * @param {object} [params]
   * @param {{timeoutMs?: number}} [options]
   * @returns {Promise<any>} the payload
   * @throws {RequestError | ConnectionLost}
   */
  request(method, params = {}, {timeoutMs = REQUEST_MS} = {}) {
    if (this.state.phase !== 'ready') return Promise.reject(new ConnectionLost());
    return this.#send(method, params, timeoutMs);
  }

  /**
   * @param {string} method
   * @param {object} params
   * @param {number} timeoutMs
   * @returns {Promise<any>}
   */
  #send(method, params, timeoutMs) {
    const id = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new RequestError({code: 'TIMEOUT', message: t('app.noAnswer', {method})}));
      }, timeoutMs);
      this.#waiting.set(id, {resolve, reject, timer});
      this.#socket?.send(JSON.stringify({type: 'req', id, method, params}));
    });
  }

  #attempt() {
    clearTimeout(this.#retryTimer);
    this.#lastSeq = null;
    this.#shutdownAnnounced = false;
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#change({retryAt: null});
    this.#handshakeTimer = setTimeout(() => this.#lost(socket, 4000, 'handshake timeout'), HANDSHAKE_MS);
    socket.onmessage = (message) => this.#socket === socket && this.#receive(socket, String(message.data));
    socket.onclose = (close) => this.#lost(socket, close.code, close.reason);
  }

  /**
   * @param {WebSocket} socket
   * @param {string} text
   */
  #receive(socket, text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    this.#watch(socket);
    if (frame.type === 'res') this.#settle(frame);
    else if (frame.type !== 'event') return;
    else if (frame.event === 'connect.challenge') this.#answer(socket, frame.payload ?? {});
    else this.#hear(frame);
  }

  /** @param {{id: string, ok: boolean, payload?: any, error?: import('./refusal.js').WireError}} frame */
  #settle(frame) {
    const waiting = this.#waiting.get(frame.id);
    if (!waiting) return;
    this.#waiting.delete(frame.id);
    clearTimeout(waiting.timer);
    if (frame.ok) waiting.resolve(frame.payload);
    else waiting.reject(new RequestError(frame.error ?? {code: 'UNAVAILABLE', message: t('app.noReason')}));
  }

  /** @param {{event: string, seq?: number, payload?: any}} frame */
  #hear(frame) {
    if (typeof frame.seq === 'number') {
      const missed = this.#lastSeq !== null && frame.seq > this.#lastSeq + 1;
      this.#lastSeq = frame.seq;
      if (missed) this.dispatchEvent(new CustomEvent('gap'));
    }
    if (frame.event === 'tick') this.#set(frame.payload?.ts);
    if (frame.event === 'shutdown') this.#shutdownAnnounced = true;
    this.dispatchEvent(new CustomEvent('gateway', {detail: frame}));
  }

  /** @param {number} [ts] what the gateway's clock says now */
  #set(ts) {
    this.#skew = Number(ts) - Date.now() || 0;
  }

  /**
   * @param {WebSocket} socket
   * @param {{nonce: string, ts?: number}} challenge
   */
  async #answer(socket, challenge) {
    this.#set(challenge.ts);
    this.credentials.reload();
    const {token} = this.credentials;
    try {
      const params = await connectParams(this.device, token, challenge);
      if (this.#socket !== socket) return;
      const hello = await this.#send('connect', params, HANDSHAKE_MS);
      if (this.#socket === socket) this.#welcome(socket, hello);
    } catch (error) {
      if (this.#socket !== socket || error instanceof ConnectionLost) return;
      if (error instanceof RequestError) this.#refused(error, token);
      else this.#lost(socket, CLOSE_REFUSED, String(error));
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {any} hello
   */
  #welcome(socket, hello) {
    clearTimeout(this.#handshakeTimer);
    this.#failures = 0;
    this.#knockedAt = 0;
    this.#tickMs = Number(hello?.policy?.tickIntervalMs) || DEFAULT_TICK_MS;
    if (hello?.auth?.deviceToken) this.credentials.keepDeviceToken(hello.auth);
    this.#change({phase: 'ready', refusal: null, restarting: false, retryAt: null, detail: ''});
    this.#watch(socket);
    this.dispatchEvent(new CustomEvent('ready', {detail: hello}));
  }

  /**
   * @param {RequestError} error
   * @param {string} token the one that was refused
   */
  #refused(error, token) {
    this.#drop(CLOSE_REFUSED, 'connect failed');
    const refusal = readRefusal(error);
    if (isTokenRefused(refusal) && token !== this.credentials.gatewayToken) {
      this.credentials.reload();
      if (this.credentials.deviceToken === token) this.credentials.forgetDeviceToken();
      if (this.credentials.token) {
        this.#attempt();
        return;
      }
      refusal.code = 'AUTH_DEVICE_TOKEN_MISMATCH';
    }
    if (refusal.kind === 'pairing') this.#keepKnocking(refusal);
    else if (refusal.kind === 'later') this.#retryLater({phase: 'offline', detail: refusal.message});
    else this.#refuse(refusal);
  }

  /**
   * Ask again until a person decides. A new request id while the old one cannot have expired means: rejected.
   * @param {import('./refusal.js').Refusal} refusal
   */
  #keepKnocking(refusal) {
    const before = this.state.phase === 'pairing' ? this.state.refusal?.requestId : undefined;
    const alive = Date.now() - this.#knockedAt < PAIRING_LIFE_MS;
    this.#knockedAt = Date.now();
    if (before && alive && before !== refusal.requestId) {
      this.#refuse({...refusal, kind: 'denied', code: 'PAIRING_REJECTED'});
    } else {
      this.#retryLater({phase: 'pairing', refusal});
    }
  }

  /** @param {import('./refusal.js').Refusal} refusal retrying by itself would only lock the person out */
  #refuse(refusal) {
    this.#wanted = false;
    this.#change({phase: 'refused', refusal, restarting: false, retryAt: null});
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   * @param {string} reason
   */
  #lost(socket, code, reason) {
    if (this.#socket !== socket) return;
    const restarting = code === CLOSE_RESTART || this.#shutdownAnnounced;
    this.#drop(code, reason);
    if (!this.#wanted) return;
    const phase = this.state.phase === 'pairing' ? 'pairing' : 'offline';
    this.#retryLater({phase, restarting, detail: `disconnected (${code})${reason ? `: ${reason}` : ''}`});
  }

  /** @param {Partial<ConnectionState>} change */
  #retryLater(change) {
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * RETRY_FACTOR ** this.#failures);
    this.#failures += 1;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#attempt(), wait);
    this.#change({...change, retryAt: Date.now() + wait});
  }

  /**
   * Let go of the socket and of every request on it.
   * @param {number} code
   * @param {string} reason
   */
  #drop(code, reason) {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#watchdogTimer);
    for (const {reject, timer} of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new ConnectionLost());
    }
    this.#waiting.clear();
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    // Pages may only close with 1000 or a code of their own range.
    socket.close(code === 1000 || code >= 4000 ? code : CLOSE_REFUSED, reason.slice(0, 40));
  }

  /** @param {WebSocket} socket any frame shows that the gateway lives; two silent intervals show that it does not */
  #watch(socket) {
    clearTimeout(this.#watchdogTimer);
    if (this.state.phase !== 'ready') return;
    this.#watchdogTimer = setTimeout(() => this.#lost(socket, CLOSE_TICK_TIMEOUT, 'tick timeout'), 2 * this.#tickMs);
  }

  /** The network or the page came back: no reason to sit out the rest of the pause. */
  #wake() {
    if (this.#wanted && !this.#socket && this.state.retryAt !== null) this.#attempt();
  }

  /** @param {Partial<ConnectionState>} change */
  #change(change) {
    this.state = {...this.state, ...change};
    this.dispatchEvent(new CustomEvent('state'));
  }
}
