/** `<oc-navigation>`: the way to every page; beside the page, or below it with the rest behind "More". */

import {t} from './i18n.js';
import {moreIcon} from './icons.js';
import {PAGES} from './pages.js';
import {address} from './route.js';
import {dialogs} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {View} from './view.js';

export class Navigation extends View {
  static watches = /** @type {const} */ (['devices', 'approvals', 'posts', 'sessions', 'cron', 'config']);
  static properties = {current: {}, narrow: {type: Boolean, reflect: true}};

  static styles = [
    common,
    dialogs,
    css`
      nav {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 2px;
      }
      a,
      .more {
        position: relative;
        display: flex;
        align-items: center;
        justify-content: flex-start;
        gap: 12px;
        min-height: 38px;
        padding: 0 12px;
        border: 0;
        border-radius: 8px;
        background: none;
        color: var(--ink-soft);
        font-size: 0.92rem;
        font-weight: 550;
        text-decoration: none;
      }
      a:hover {
        background: var(--sunken);
        color: var(--ink);
      }
      a[aria-current] {
        background: var(--accent-wash);
        color: var(--accent);
      }
      .count {
        min-width: 18px;
        margin-left: auto;
        padding: 0 5px;
        border-radius: 9px;
        background: var(--warn);
        color: var(--surface);
        font-size: 0.75rem;
        font-weight: 650;
        line-height: 18px;
        text-align: center;
      }
      :host([narrow]) > nav {
        display: flex;
        justify-content: space-around;
        padding: 4px 8px calc(4px + env(safe-area-inset-bottom));
        border-top: 1px solid var(--line);
        background: var(--surface);
      }
      :host([narrow]) > nav > :is(a, .more) {
        flex: 1;
        flex-direction: column;
        justify-content: center;
        gap: 2px;
        min-height: 48px;
        padding: 0 4px;
        font-size: 0.75rem;
        white-space: nowrap;
      }
      :host([narrow]) > nav > * > .count {
        position: absolute;
        top: 3px;
        left: calc(50% + 8px);
      }
      dialog {
        position: fixed;
        inset: auto 0 0;
        width: 100%;
        max-width: none;
        margin: 0;
        padding: 16px 16px calc(16px + env(safe-area-inset-bottom));
        border-width: 1px 0 0;
        border-radius: 16px 16px 0 0;
      }
      dialog nav {
        grid-template-columns: 1fr 1fr;
        gap: 4px;
        margin-bottom: 12px;
      }
      dialog a {
        gap: 10px;
        min-height: 48px;
        padding: 0 8px;
      }
      dialog .row {
        justify-content: space-between;
      }
    `,
  ];

  constructor() {
    super();
    /** @type {string} */
    this.current = '';
    this.narrow = false;
  }

  render() {
    const names = Object.keys(PAGES);
    if (!this.narrow) return html`<nav aria-label=${t('app.main')}>${names.map((name) => this.#link(name))}</nav>`;
    const isNear = (/** @type {string} */ name) => /** @type {any} */ (PAGES)[name].near;
    const near = names.filter(isNear);
    const far = names.filter((name) => !isNear(name));
    const hidden = far.reduce((sum, name) => sum + this.#waiting(name), 0);
    return html`<nav aria-label=${t('app.main')}>
        ${near.map((name) => this.#link(name))}
        <button class="more" aria-haspopup="dialog" @click=${() => this.#dialog.showModal()}>${moreIcon} ${t('app.more')} ${count(hidden)}</button>
      </nav>
      <dialog aria-label=${t('app.more')} @click=${this.#chosen}>
        <nav aria-label=${t('app.more')}>${far.map((name) => this.#link(name))}</nav>
        <div class="row"><slot></slot><button @click=${() => this.#dialog.close()}>${t('app.close')}</button></div>
      </dialog>`;
  }

  /** @param {string} name */
  #link(name) {
    const {current, mainKey} = this.stores.sessions.state;
    const {icon} = /** @type {any} */ (PAGES)[name];
    return html`<a
      href=${address(/** @type {any} */ (name), name === 'chat' && current !== mainKey ? current : '')}
      aria-current=${name === this.current ? 'page' : nothing}
    >
      ${icon} <span>${t(`app.${name}`)}</span> ${count(this.#waiting(name))}
    </a>`;
  }

  /** @param {string} name how many things wait on that page */
  #waiting(name) {
    const {devices, approvals, posts, cron, config} = this.stores;
    if (name === 'devices') return devices.state.pending.length;
    if (name === 'approvals') return approvals.state.waiting.length;
    if (name === 'posts') return posts.waiting.length;
    if (name === 'cron') return cron.failed.length;
    return name === 'config' && config.pendingInvalid ? 1 : 0;
  }

  get #dialog() {
    return /** @type {HTMLDialogElement} */ (this.renderRoot.querySelector('dialog'));
  }

  /** @param {Event} event a link in the sheet, or the ground around it */
  #chosen(event) {
    const target = /** @type {Element} */ (event.target);
    if (target === this.#dialog || target.closest('a')) this.#dialog.close();
  }
}

/** @param {number} n */
const count = (n) => (n ? html`<span class="count" aria-label=${t('app.waiting', {n})}>${n}</span>` : nothing);

customElements.define('oc-navigation', Navigation);
