/** Posts at social networks: what waits for a person, what is on the way, what is done. */

import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

/** A person has to do something about a post in these states. */
const WAITING = ['awaiting_approval', 'needs_attention', 'failed'];
/** After this long a failure is history. */
const FORGOTTEN_MS = 7 * 86_400_000;
export const PAST = ['published', 'rejected', 'cancelled', 'failed', 'deleting', 'deleted'];

/** @extends {RemoteStore<{posts: any[]}>} */
export class PostsStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super(connection, {posts: []}, {always: true, on: (event) => event === 'posts.changed'});
  }

  async read() {
    const {posts = []} = await this.connection.request('posts.list', {limit: 200});
    return {posts};
  }

  /** What a person has to look at. */
  get waiting() {
    const since = this.connection.now() - FORGOTTEN_MS;
    return this.state.posts.filter(({state, createdAtMs}) => WAITING.includes(state) && (state !== 'failed' || createdAtMs > since));
  }

  /** @param {any} post with the digest of what was on screen: another text is not approved by it */
  approve({id, digest}) {
    return this.act(id, 'posts.approve', {id, digest}, t('posts.saidApproved'));
  }

  /** @param {any} post */
  reject({id, digest}) {
    return this.act(id, 'posts.reject', {id, digest}, t('posts.saidRejected'));
  }

  /**
   * @param {any} post
   * @param {string} text
   */
  edit({id}, text) {
    return this.act(id, 'posts.edit', {id, text}, t('posts.saidChanged'));
  }

  /** @param {any} post */
  cancel({id}) {
    return this.act(id, 'posts.cancel', {id}, t('posts.saidChanged'));
  }

  /** @param {any} post */
  retry({id}) {
    return this.act(id, 'posts.retry', {id}, t('posts.saidChanged'));
  }

  /**
   * @param {any} post
   * @param {number} number one of its thumbnails
   * @returns {Promise<string>} a data address; empty when the picture cannot be shown
   */
  async thumbnail({id}, number) {
    try {
      return (await this.connection.request('posts.thumbnail', {id, number})).dataUrl;
    } catch {
      return '';
    }
  }

  /** @param {any} post with the digest of what was on screen */
  delete({id, digest}) {
    return this.act(id, 'posts.delete', {id, digest}, t('posts.saidDeleting'));
  }

  /**
   * @param {any} post
   * @param {boolean} posted what a person saw at the network
   */
  resolve({id}, posted) {
    return this.act(id, 'posts.resolve', {id, posted}, t('posts.saidChanged'));
  }
}
