/** The gateway's configuration: what is in force, what is edited here, and what happens when somebody else was quicker. */

import {RequestError} from './connection.js';
import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

const APPLY_MS = 60_000;

/** @typedef {{path: string, message: string, line?: number}} Issue */

/**
 * What was to be written: the whole text, or a merge patch from the form; and the hash of the file it was begun from,
 * since the page follows the file while somebody edits.
 * @typedef {{method: 'config.set' | 'config.patch', raw: string, baseHash: string | undefined}} Wish
 */

/**
 * @typedef {object} ConfigState
 * @property {any} snapshot the answer of config.get
 * @property {any} schema the answer of config.schema; null when there is none
 * @property {boolean} schemaRead
 * @property {Issue[]} refused why the last save was refused
 * @property {Wish | null} conflict what could not be saved because the file had changed
 */

/** @extends {RemoteStore<ConfigState>} */
export class ConfigStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    const initial = {snapshot: null, schema: null, schemaRead: false, refused: [], conflict: null};
    super(connection, initial, {always: true, on: (event) => event === 'config' || event === 'health'});
  }

  async open() {
    await super.open();
    if (this.state.schemaRead) return;
    try {
      this.set({schema: await this.connection.request('config.schema')});
    } catch (error) {
      // Without a description there is no form; the file can still be edited.
      if (!(error instanceof RequestError)) return;
    }
    this.set({schemaRead: true});
  }

  async read() {
    return {snapshot: await this.connection.request('config.get')};
  }

  /** @type {string | undefined} of the file as it is shown */
  get hash() {
    return this.state.snapshot?.hash;
  }

  /** Whether the file on disk is not the configuration in force. */
  get pendingInvalid() {
    const {snapshot} = this.state;
    return Boolean(snapshot) && (snapshot.valid === false || (snapshot.issues ?? []).length > 0);
  }

  /** @type {string[]} settings that are saved and count after a restart */
  get waitsForRestart() {
    return this.state.snapshot?.pending?.waitsForRestart ?? [];
  }

  /** @type {Issue[]} of the file on disk, and of what was just refused */
  get issues() {
    const {snapshot, refused} = this.state;
    return refused.length ? refused : (snapshot?.issues ?? []);
  }

  /**
   * @param {Wish} wish
   * @returns {Promise<boolean>} whether it was written
   */
  async save(wish) {
    this.set({refused: [], conflict: null, error: '', said: '', busy: new Set(['file'])});
    try {
      await this.connection.request(wish.method, {raw: wish.raw, baseHash: wish.baseHash}, {timeoutMs: APPLY_MS});
      await this.reload();
      this.set({said: t('config.saidSaved')});
      return true;
    } catch (error) {
      await this.#failed(/** @type {any} */ (error), wish);
      return false;
    } finally {
      this.set({busy: new Set()});
    }
  }

  /**
   * @param {Error & {details?: any}} error
   * @param {Wish} wish
   */
  async #failed(error, wish) {
    if (/config changed since last load|config base hash required/.test(error.message)) {
      await this.reload();
      this.set({conflict: wish});
      return;
    }
    const issues = Array.isArray(error.details?.issues) ? error.details.issues : [];
    this.set({refused: issues, error: error.message});
  }

  /** Leave the other's version as it is. */
  takeTheirs() {
    this.set({conflict: null, refused: [], error: ''});
  }

  /** Write what was to be written over the other's version, which the person has seen. */
  keepMine() {
    const {conflict} = this.state;
    return conflict ? this.save({...conflict, baseHash: this.hash}) : Promise.resolve(false);
  }
}
