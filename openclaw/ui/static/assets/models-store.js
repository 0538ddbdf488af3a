/** The catalogue of models, the order in which they are asked, and which of them rests. */

import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

/**
 * @typedef {object} ModelsState
 * @property {any[]} catalogue `{id, name, provider, contextWindow?, reasoning?, input?}`
 * @property {string[]} order `provider/model`: the first one, then the fallbacks
 * @property {string} hash of the configuration that says so
 * @property {any[]} providers what `usage.status` says
 */

/** @extends {RemoteStore<ModelsState>} */
export class ModelsStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {catalogue: [], order: [], hash: '', providers: []});
  }

  async read() {
    const ask = (/** @type {string} */ method) => this.connection.request(method);
    const [models, config, usage] = await Promise.all([ask('models.list'), ask('config.get'), ask('usage.status')]);
    const model = config?.config?.agents?.defaults?.model ?? {};
    const {primary, fallbacks = []} = typeof model === 'string' ? {primary: model} : model;
    const wanted = [primary, ...fallbacks].filter((ref) => typeof ref === 'string' && ref);
    const providers = usage?.providers ?? [];
    // What is in force goes before what the file says: policy may have a word in it.
    const inForce = providers.map((/** @type {any} */ row) => String(row.displayName ?? '')).filter((/** @type {string} */ ref) => ref.includes('/'));
    const order = inForce.length ? inForce : wanted;
    return {catalogue: models?.models ?? [], order, hash: String(config?.hash ?? ''), providers};
  }

  /** @param {string[]} order the first one answers, the others take over */
  choose([primary, ...fallbacks]) {
    const raw = JSON.stringify({agents: {defaults: {model: {primary, fallbacks}}}});
    return this.act('order', 'config.patch', {raw, baseHash: this.state.hash}, t('models.saidSet'));
  }

  /**
   * Why a model rests; empty when it does not.
   * @param {string} ref
   */
  resting(ref) {
    return String(this.state.providers.find((row) => row.displayName === ref)?.error ?? '');
  }
}

/** @param {any} model */
export const modelRef = (model) => (String(model.id).startsWith(`${model.provider}/`) ? String(model.id) : `${model.provider}/${model.id}`);
