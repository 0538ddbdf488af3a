/** What the assistant may run without asking: `exec-approvals.json`, written with the hash that was read. */

import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

/** @extends {RemoteStore<{file: any, hash: string}>} */
export class AllowlistStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {file: null, hash: ''}, {on: (event) => event === 'exec.approval.resolved'});
  }

  async read() {
    const {file, hash} = await this.connection.request('exec.approvals.get');
    return {file, hash};
  }

  /** Every entry with the agent it counts for. */
  get entries() {
    /** @type {[string, any][]} */
    const agents = Object.entries(this.state.file?.agents ?? {});
    return agents.flatMap(([agent, {allowlist}]) =>
      (Array.isArray(allowlist) ? allowlist : []).map((/** @type {any} */ entry) => ({agent, entry})),
    );
  }

  /**
   * @param {string} agent
   * @param {any} entry
   */
  async withdraw(agent, entry) {
    const file = structuredClone(this.state.file);
    const {allowlist} = this.state.file.agents[agent];
    file.agents[agent].allowlist = allowlist.filter((/** @type {any} */ one) => one !== entry);
    const params = {file, baseHash: this.state.hash};
    const answer = await this.act(entry.id ?? entry.pattern, 'exec.approvals.set', params, t('approvals.saidWithdrawn'));
    if (!answer && /changed since last load|base hash/.test(this.state.error)) this.set({error: t('approvals.changed')});
  }
}
