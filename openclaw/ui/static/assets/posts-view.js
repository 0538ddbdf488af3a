/** `<oc-posts>`: posts that wait for a person, that are on the way, and that are done. */

import './post-card.js';
import {weekday} from './format.js';
import {t} from './i18n.js';
import {postsIcon} from './icons.js';
import {pageHead, refreshButton} from './page-parts.js';
import {outcome, stateCard, whenReady} from './page-state.js';
import {PAST} from './posts-store.js';
import {parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {html, nothing, repeat} from './vendor/lit.js';
import {Page} from './view.js';

export class PostsView extends Page {
  static watches = /** @type {const} */ (['posts', 'gateway']);
  static reads = /** @type {any} */ (['posts']);
  static styles = [common, page, parts];

  render() {
    const {posts, gateway} = this.stores;
    return html`<div class="page">
      ${pageHead(t('app.posts'), {actions: refreshButton(() => posts.reload(), gateway.canAsk)})}
      ${outcome(posts)} ${whenReady(posts, () => this.#lists())}
    </div>`;
  }

  #lists() {
    const {posts} = this.stores;
    const all = posts.state.posts;
    if (!all.length) return stateCard(postsIcon, t('app.posts'), t('posts.none'));
    const {waiting} = posts;
    const rest = all.filter((post) => !waiting.includes(post));
    const coming = rest.filter(({state}) => !PAST.includes(state));
    const past = rest.filter(({state}) => PAST.includes(state));
    return html`<section aria-labelledby="waiting">
        <h2 id="waiting">${t('posts.waiting')}</h2>
        ${waiting.length ? this.#cards(waiting) : html`<p class="card soft">${t('posts.calm')}</p>`}
      </section>
      ${this.#calendar(coming)} ${this.#part('past', t('posts.past'), past)}`;
  }

  /** @param {any[]} coming what is on its way, day by day */
  #calendar(coming) {
    if (!coming.length) return nothing;
    const inOrder = [...coming].sort((one, other) => one.dueAtMs - other.dueAtMs);
    const days = [...new Set(inOrder.map(({dueAtMs}) => weekday(dueAtMs)))];
    return html`<section aria-labelledby="coming">
      <h2 id="coming">${t('posts.coming')}</h2>
      ${days.map(
        (day) => html`<h3 class="soft">${day}</h3>
          ${this.#cards(inOrder.filter(({dueAtMs}) => weekday(dueAtMs) === day))}`,
      )}
    </section>`;
  }

  /**
   * @param {string} id
   * @param {string} title
   * @param {any[]} list
   */
  #part(id, title, list) {
    if (!list.length) return nothing;
    return html`<section aria-labelledby=${id}>
      <h2 id=${id}>${title}</h2>
      ${this.#cards(list)}
    </section>`;
  }

  /** @param {any[]} list */
  #cards(list) {
    return html`<ul class="cards">
      ${repeat(
        list,
        ({id}) => id,
        (post) => html`<li><oc-post .stores=${this.stores} .post=${post}></oc-post></li>`,
      )}
    </ul>`;
  }
}

customElements.define('oc-posts', PostsView);
