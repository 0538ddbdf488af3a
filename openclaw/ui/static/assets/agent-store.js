/** The agent's standing files and its skills; one file may be open. */

import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

/**
 * @typedef {object} OpenFile
 * @property {string} name
 * @property {string} content as the gateway has it
 * @property {string} hash of that; empty when there is no such file yet
 */

/**
 * @typedef {object} AgentState
 * @property {string} id of the agent
 * @property {string} workspace the folder
 * @property {any[]} files
 * @property {any[] | null} skills null when the gateway has no such list
 * @property {OpenFile | null} file
 * @property {OpenFile | null} theirs the open file as somebody else changed it meanwhile
 */

/** @extends {RemoteStore<AgentState>} */
export class AgentStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {id: '', workspace: '', files: [], skills: null, file: null, theirs: null});
  }

  async read() {
    const id = String((await this.connection.request('agents.list'))?.defaultId ?? 'main');
    const [{workspace, files}, skills] = await Promise.all([
      this.connection.request('agents.files.list', {agentId: id}),
      this.connection.request('skills.status', {agentId: id}).then((answer) => answer?.skills ?? [], () => null),
    ]);
    return {id, workspace, files: files ?? [], skills};
  }

  /** @param {string} name */
  async show(name) {
    this.set({error: '', said: ''});
    try {
      this.set({file: await this.#fetch(name), theirs: null});
    } catch (error) {
      this.set({error: /** @type {Error} */ (error).message});
    }
  }

  hide() {
    this.set({file: null, theirs: null, error: ''});
  }

  /**
   * @param {string} name
   * @returns {Promise<OpenFile>}
   */
  async #fetch(name) {
    const {file} = await this.connection.request('agents.files.get', {agentId: this.state.id, name});
    return {name, content: file.content ?? '', hash: file.hash ?? ''};
  }

  /**
   * @param {string} content
   * @returns {Promise<boolean>} whether it was written
   */
  async save(content) {
    const {file, id} = this.state;
    if (!file) return false;
    const {name, hash} = file;
    const answer = await this.act(name, 'agents.files.set', {agentId: id, name, content, baseHash: hash}, t('agent.saidSaved', {name}));
    if (answer) {
      this.set({file: {name, content: answer.file.content, hash: answer.file.hash}, theirs: null});
      return true;
    }
    const theirs = await this.#fetch(name).catch(() => null);
    if (theirs && theirs.hash !== hash) this.set({theirs, error: ''});
    return false;
  }

  /** Go on from what somebody else wrote. */
  takeTheirs() {
    this.set({file: this.state.theirs, theirs: null});
  }

  /** @param {string} content what was to be written, over what somebody else wrote and the person has seen */
  keepMine(content) {
    this.set({file: this.state.theirs, theirs: null});
    return this.save(content);
  }
}
