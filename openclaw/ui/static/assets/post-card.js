/** `<oc-post>`: one post exactly as it will appear, and what can be done about it. */

import './confirm-dialog.js';
import './text-dialog.js';
import {fact} from './device-request.js';
import {ago, dateTime} from './format.js';
import {known, t} from './i18n.js';
import {parts} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {visible} from './visible-text.js';
import {Decision} from './view.js';

/** @type {Record<string, string>} */
const COLOURS = {awaiting_approval: 'warn', needs_attention: 'warn', failed: 'bad', published: 'good'};
const NETWORKS = {threads: 'Threads', instagram: 'Instagram'};
const BEFORE_PUBLISHING = ['awaiting_approval', 'scheduled', 'queued'];

export class PostCard extends Decision {
  static watches = /** @type {const} */ (['posts', 'gateway']);
  static properties = {post: {attribute: false}, thumbs: {state: true}};

  static styles = [
    common,
    parts,
    css`
      .card {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 12px;
      }
      .card.asks {
        border-color: color-mix(in oklab, var(--warn) 45%, var(--line));
      }
      .text {
        max-height: 20rem;
        padding: 12px 14px;
        border-radius: 8px;
        background: var(--sunken);
        overflow: auto;
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }
      .thumbs {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
      }
      .thumbs img {
        max-width: 120px;
        max-height: 120px;
        border-radius: 8px;
      }
      @media (max-width: 640px) {
        .card > .row button {
          flex: 1 1 auto;
        }
      }
    `,
  ];

  constructor() {
    super();
    /** @type {any} */
    this.post = null;
    /** @type {{number: number, url: string}[]} */
    this.thumbs = [];
    this.#shown = '';
  }

  /** Digest of the post whose pictures are shown or on their way. */
  #shown;

  updated() {
    const {digest, thumbnails = []} = this.post;
    const {posts, gateway} = this.stores;
    if (!thumbnails.length || this.#shown === digest || !gateway.canAsk) return;
    this.#shown = digest;
    this.thumbs = [];
    this.#fetch(posts, this.post, digest);
  }

  /**
   * One after the other: a carousel must not be twenty questions at once.
   * @param {any} posts
   * @param {any} post
   * @param {string} digest
   */
  async #fetch(posts, post, digest) {
    for (const number of post.thumbnails) {
      const url = await posts.thumbnail(post, number);
      if (this.#shown !== digest) return;
      if (url) this.thumbs = [...this.thumbs, {number, url}];
    }
  }

  get #network() {
    return /** @type {Record<string, string>} */ (NETWORKS)[this.post.network] ?? this.post.network;
  }

  render() {
    const {post} = this;
    const {state, summary} = post;
    const waits = ['awaiting_approval', 'needs_attention'].includes(state);
    const word = known(`posts.${state}`) ? t(`posts.${state}`) : state;
    const quiet = state === 'awaiting_approval' || state === 'published';
    return html`<article class="card ${waits ? 'asks' : ''}" aria-label=${t('posts.wants', {network: this.#network})}>
        <div class="top">
          <div>
            <h3>${t('posts.wants', {network: this.#network})}</h3>
            <p class="soft small" title=${dateTime(post.createdAtMs)}>${ago(post.createdAtMs)}</p>
          </div>
          <span class="tag ${COLOURS[state] ?? ''}">${word}</span>
        </div>
        <div class="text" tabindex="0">${visible(post.text)}</div>
        ${this.#pictures()} ${summary && !quiet ? html`<p class="note ${state === 'failed' ? 'bad' : ''}">${summary}</p>` : nothing}
        <dl class="facts">
          ${fact(t('posts.account'), post.account)} ${fact(t('posts.group'), post.group)}
          ${fact(t('posts.due'), post.dueAtMs ? html`<span title=${dateTime(post.dueAtMs)}>${ago(post.dueAtMs)}</span>` : '')}
          ${fact(t('posts.length'), post.limit ? t('posts.lengthOf', {n: post.length, all: post.limit}) : '')}
          ${fact(t('posts.approvedBy'), post.approvedBy)} ${Object.entries(post.extras ?? {}).map(([name, value]) => fact(name, visible(value)))}
          ${post.media?.length ? fact(t('posts.pictures'), html`${post.media.map(mediaLine)}`, 'wide') : nothing}
        </dl>
        ${this.#buttons(state)}
        ${safeLink(post.permalink) ? html`<p><a href=${post.permalink} target="_blank" rel="noopener noreferrer">${t('posts.link')}</a></p>` : nothing}
      </article>
      <oc-confirm></oc-confirm><oc-text-dialog></oc-text-dialog>`;
  }

  #pictures() {
    if (!this.thumbs.length) return nothing;
    const {thumbs} = this;
    return html`<div class="thumbs">
      ${thumbs.map(({number, url}) => html`<img src=${url} alt=${t('posts.picture', {n: number})} />`)}
    </div>`;
  }

  /** @param {string} state */
  #buttons(state) {
    const {posts, gateway} = this.stores;
    const busy = posts.state.busy.has(this.post.id) || !gateway.canAsk || !this.armed;
    const button = (/** @type {string} */ word, /** @type {() => void} */ act, kind = '') =>
      html`<button class=${kind} ?disabled=${busy} @click=${act}>${word}</button>`;
    const more = BEFORE_PUBLISHING.includes(state)
      ? html`${button(t('posts.edit'), () => this.#edit())} ${button(t('posts.cancel'), () => this.#cancel())}`
      : nothing;
    if (state === 'awaiting_approval') {
      return html`<div class="row">
        ${button(t('posts.approve'), () => this.#approve(), 'main')} ${button(t('posts.reject'), () => posts.reject(this.post), 'risk')} ${more}
      </div>`;
    }
    if (state === 'needs_attention') {
      return html`<p class="small soft">${t('posts.doubt')}</p>
        <div class="row">
          ${button(t('posts.isOnline'), () => this.#resolve(true))} ${button(t('posts.notOnline'), () => this.#resolve(false), 'risk')}
        </div>`;
    }
    if (state === 'failed') return html`<div class="row">${button(t('posts.retry'), () => posts.retry(this.post))}</div>`;
    if (state === 'published' && this.post.network === 'threads' && this.post.mediaId) {
      return html`<div class="row">${button(t('posts.delete'), () => this.#delete(), 'risk')}</div>`;
    }
    return more === nothing ? nothing : html`<div class="row">${more}</div>`;
  }

  async #approve() {
    const {post} = this;
    const text = t('posts.sureApproveText', {network: this.#network, account: post.account, when: ago(post.dueAtMs)});
    if (await this.sure({title: t('posts.sureApprove'), text, action: t('posts.approve')})) await this.stores.posts.approve(post);
  }

  async #cancel() {
    const question = {title: t('posts.sureCancel'), text: t('posts.sureCancelText'), action: t('posts.cancel')};
    if (await this.sure(question)) await this.stores.posts.cancel(this.post);
  }

  async #delete() {
    const {post} = this;
    const question = {title: t('posts.sureDelete'), text: t('posts.sureDeleteText', {network: this.#network}), action: t('posts.delete')};
    if (await this.sure(question)) await this.stores.posts.delete(post);
  }

  /** @param {boolean} posted */
  async #resolve(posted) {
    const title = posted ? t('posts.sureOnline') : t('posts.sureNotOnline');
    const text = posted ? t('posts.sureOnlineText') : t('posts.sureNotOnlineText');
    const action = posted ? t('posts.isOnline') : t('posts.notOnline');
    if (await this.sure({title, text, action})) await this.stores.posts.resolve(this.post, posted);
  }

  async #edit() {
    const {post} = this;
    const dialog = /** @type {import('./text-dialog.js').TextDialog} */ (this.renderRoot.querySelector('oc-text-dialog'));
    const question = {title: t('posts.edit'), label: t('posts.text'), hint: t('posts.textHint'), value: post.text, longest: 20_000, lines: 8};
    const text = await dialog.ask(question);
    if (text !== null && text !== post.text) await this.stores.posts.edit(post, text);
  }
}

/** @param {unknown} url a picture is not fetched from here, the gateway sends it: looking would tell its host */
const mediaLine = (url) => html`<div><code>${visible(url)}</code></div>`;

/** @param {unknown} url */
const safeLink = (url) => typeof url === 'string' && /^https:\/\//i.test(url);

customElements.define('oc-post', PostCard);
