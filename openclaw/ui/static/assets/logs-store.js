/** The newest lines of the gateway's log, followed while somebody looks. */

import {parseLine} from './log-line.js';
import {RemoteStore} from './remote-store.js';

const FOLLOW_MS = 1500;
/** More lines than this are not kept: the file on the gateway has them all. */
const KEPT = 2000;
const FIRST_LINES = 500;

/**
 * @typedef {object} LogsState
 * @property {import('./log-line.js').Line[]} lines oldest first
 * @property {string} file
 * @property {boolean} cut older lines are only in the file
 * @property {boolean} paused
 * @property {import('./log-line.js').Line[]} held what came during the pause
 */

/** @extends {RemoteStore<LogsState>} */
export class LogsStore extends RemoteStore {
  #timer = 0;
  /** @type {number | null} */
  #cursor = null;
  #number = 0;

  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {lines: [], file: '', cut: false, paused: false, held: []});
    connection.addEventListener('ready', () => (this.#cursor = null));
  }

  open() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => document.hidden || this.reload(), FOLLOW_MS);
    return super.open();
  }

  close() {
    clearInterval(this.#timer);
    super.close();
  }

  async read() {
    const params = this.#cursor === null ? {limit: FIRST_LINES} : {cursor: this.#cursor};
    const fresh = this.#cursor === null;
    const {file, cursor, lines = [], truncated, reset} = await this.connection.request('logs.tail', params);
    this.#cursor = cursor;
    const news = lines.map((/** @type {string} */ text) => parseLine(text, (this.#number += 1)));
    const {paused, held, cut} = this.state;
    const before = fresh || reset ? [] : this.state.lines;
    if (paused) return {file, held: [...held, ...news].slice(-KEPT)};
    if (!news.length && !fresh) return {file};
    const all = [...before, ...news];
    return {file, lines: all.slice(-KEPT), cut: truncated || all.length > KEPT || (cut && !fresh)};
  }

  /** @param {boolean} paused */
  pause(paused) {
    const {lines, held} = this.state;
    this.set(paused ? {paused} : {paused, held: [], lines: [...lines, ...held].slice(-KEPT)});
  }
}
