/** `<oc-config-conflict>`: somebody else was quicker; both versions, and the choice. Fires `settled`. */

import {t} from './i18n.js';
import {parts} from './styles-parts.js';
import {common} from './styles.js';
import {css, html} from './vendor/lit.js';
import {View} from './view.js';

export class ConfigConflict extends View {
  static watches = /** @type {const} */ (['config', 'gateway']);

  static styles = [
    common,
    parts,
    css`
      .card {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 14px;
        border-color: var(--warn);
      }
      .both {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr));
        gap: 12px;
      }
      figure {
        display: grid;
        grid-template-rows: auto 1fr;
        gap: 6px;
        min-width: 0;
        margin: 0;
      }
      figcaption {
        font-size: 0.88rem;
        font-weight: 600;
      }
      pre {
        max-height: 22rem;
        margin: 0;
        padding: 10px 0;
        border-radius: 8px;
        background: var(--sunken);
        font: 0.8rem/1.55 var(--mono);
        overflow: auto;
      }
      pre span {
        display: block;
        min-height: 1.55em;
        padding: 0 14px;
        white-space: pre;
      }
      pre span.other {
        background: var(--warn-wash);
        color: var(--warn);
      }
    `,
  ];

  render() {
    const {config, gateway} = this.stores;
    const {conflict, snapshot} = config.state;
    if (!conflict) return html``;
    const theirs = String(snapshot?.raw ?? '');
    const mine = conflict.method === 'config.patch' ? JSON.stringify(JSON.parse(conflict.raw), null, 2) : conflict.raw;
    const busy = config.state.busy.size > 0 || !gateway.canAsk;
    return html`<div class="card" role="alert">
      <div>
        <h2>${t('config.conflictTitle')}</h2>
        <p class="soft">${t('config.conflictText')}</p>
      </div>
      <div class="both">${version(t('config.theirs'), theirs, mine)} ${version(t('config.mine'), mine, theirs)}</div>
      <div class="row">
        <button class="main" ?disabled=${busy} @click=${this.#takeTheirs}>${t('config.takeTheirs')}</button>
        <button class="risk" ?disabled=${busy} @click=${this.#keepMine}>${t('config.keepMine')}</button>
      </div>
    </div>`;
  }

  #takeTheirs() {
    this.stores.config.takeTheirs();
    this.dispatchEvent(new CustomEvent('settled'));
  }

  async #keepMine() {
    if (await this.stores.config.keepMine()) this.dispatchEvent(new CustomEvent('settled'));
  }
}

/**
 * One version, with the lines marked that the other one does not have.
 * @param {string} title
 * @param {string} text
 * @param {string} other
 */
function version(title, text, other) {
  const there = new Set(other.split('\n').map((line) => line.trim()));
  return html`<figure>
    <figcaption>${title}</figcaption>
    <pre tabindex="0">${text.split('\n').map((line) => html`<span class=${there.has(line.trim()) ? '' : 'other'}>${line}</span>`)}</pre>
  </figure>`;
}

customElements.define('oc-config-conflict', ConfigConflict);
