/** `<oc-config-file>`: the text of the configuration file, with line numbers. */

import {t} from './i18n.js';
import {fields} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, live} from './vendor/lit.js';
import {View} from './view.js';

export class ConfigFile extends View {
  static watches = /** @type {const} */ (['config', 'gateway']);
  static properties = {draft: {state: true}, place: {state: true}, offered: {attribute: false}};

  static styles = [
    common,
    fields,
    css`
      :host {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 12px;
      }
      .editor {
        display: grid;
        grid-template-columns: auto minmax(0, 1fr);
        height: min(65vh, 44rem);
        border: 1px solid var(--line-strong);
        border-radius: var(--radius);
        background: var(--surface);
        overflow: hidden;
        font: 0.82rem/1.6 var(--mono);
      }
      .editor:focus-within {
        border-color: var(--accent);
        outline: 1px solid var(--accent);
      }
      .numbers {
        padding: 12px 8px 40px 14px;
        border-right: 1px solid var(--line);
        color: var(--ink-soft);
        overflow: hidden;
        text-align: right;
        white-space: pre;
        user-select: none;
      }
      .editor textarea {
        width: 100%;
        height: 100%;
        min-height: 0;
        padding: 12px 14px;
        border: 0;
        border-radius: 0;
        background: none;
        font: inherit;
        overflow: auto;
        overflow-wrap: normal;
        resize: none;
        white-space: pre;
      }
      .editor textarea:focus-visible {
        outline: none; /* the frame around it shows the focus */
      }
      .bar {
        justify-content: space-between;
      }
      @media (max-width: 640px) {
        .numbers {
          display: none;
        }
        .editor {
          grid-template-columns: minmax(0, 1fr);
        }
      }
    `,
  ];

  /** @type {string | undefined} the hash of the file that is being changed */
  #base;

  constructor() {
    super();
    /** @type {string | null} null as long as nothing was changed */
    this.draft = null;
    this.place = {line: 1, column: 1};
    /** @type {string} a text to begin from instead of the one in the file */
    this.offered = '';
  }

  get #stored() {
    return String(this.stores.config.state.snapshot?.raw ?? '');
  }

  get #text() {
    return this.draft ?? (this.offered || this.#stored);
  }

  get #field() {
    return /** @type {HTMLTextAreaElement} */ (this.renderRoot.querySelector('textarea'));
  }

  render() {
    const {config, gateway} = this.stores;
    const text = this.#text;
    const changed = text !== this.#stored;
    const busy = config.state.busy.size > 0;
    const numbers = Array.from({length: text.split('\n').length}, (_, index) => index + 1).join('\n');
    return html`<div class="editor">
        <div class="numbers" aria-hidden="true">${numbers}</div>
        <textarea
          aria-label=${t('config.fileText')}
          spellcheck="false"
          autocapitalize="off"
          autocomplete="off"
          wrap="off"
          .value=${live(text)}
          @input=${this.#typed}
          @scroll=${this.#scrolled}
          @keyup=${this.#moved}
          @click=${this.#moved}
          @keydown=${this.#key}
        ></textarea>
      </div>
      <div class="row bar">
        <span class="soft small" role="status">
          ${t('config.position', this.place)}${changed ? ` · ${t('config.unsaved')}` : ''}
        </span>
        <div class="row">
          <button ?disabled=${!changed || busy} @click=${this.revert}>${t('config.revert')}</button>
          <button class="main" ?disabled=${!changed || busy || !gateway.canAsk} @click=${this.#save}>${t('config.saveAll')}</button>
        </div>
      </div>`;
  }

  /** Back to what the gateway has. */
  revert() {
    this.draft = null;
  }

  /** @param {number} line from 1 */
  async goTo(line) {
    await this.updateComplete;
    const field = this.#field;
    const start = field.value.split('\n').slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    const end = field.value.indexOf('\n', start);
    field.focus();
    field.setSelectionRange(start, end < 0 ? field.value.length : end);
    const height = Number.parseFloat(getComputedStyle(field).lineHeight);
    field.scrollTop = Math.max(0, (line - 5) * height);
    this.#moved();
  }

  #typed() {
    if (this.draft === null) this.#base = this.stores.config.hash;
    this.draft = this.#field.value;
  }

  #scrolled() {
    /** @type {HTMLElement} */ (this.renderRoot.querySelector('.numbers')).scrollTop = this.#field.scrollTop;
  }

  #moved() {
    const before = this.#field.value.slice(0, this.#field.selectionStart).split('\n');
    this.place = {line: before.length, column: (before.at(-1)?.length ?? 0) + 1};
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== 's' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.#save();
  }

  async #save() {
    const {config, gateway} = this.stores;
    const raw = this.#text;
    if (raw === this.#stored || config.state.busy.size || !gateway.canAsk) return;
    const baseHash = this.draft === null ? config.hash : this.#base;
    if (await config.save({method: 'config.set', raw, baseHash})) this.revert();
  }
}

customElements.define('oc-config-file', ConfigFile);
