/** `<oc-agent-file>`: the open file of the agent, as text. Fires `close`. */

import {t} from './i18n.js';
import {fields} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, live, nothing} from './vendor/lit.js';
import {View} from './view.js';

export class AgentFile extends View {
  static watches = /** @type {const} */ (['agent', 'gateway']);
  static properties = {draft: {state: true}};

  static styles = [
    common,
    fields,
    css`
      .card {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 12px;
      }
      textarea {
        width: 100%;
        height: min(52vh, 30rem);
        font-family: var(--mono);
        font-size: 0.85rem;
      }
      .bar {
        justify-content: space-between;
      }
      pre {
        max-height: 16rem;
        margin: 0;
        padding: 10px 14px;
        border-radius: 8px;
        background: var(--sunken);
        font: 0.8rem/1.55 var(--mono);
        overflow: auto;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      .theirs {
        display: grid;
        gap: 10px;
      }
    `,
  ];

  constructor() {
    super();
    /** @type {string | null} null as long as nothing was typed */
    this.draft = null;
  }

  get #file() {
    return this.stores.agent.state.file;
  }

  /** Whether something was typed that the gateway does not have. */
  get changed() {
    return this.draft !== null && this.draft !== this.#file?.content;
  }

  /** Another file was opened: begin at its text. */
  async begin() {
    this.draft = null;
    await this.updateComplete;
    this.renderRoot.querySelector('textarea')?.focus();
  }

  render() {
    const {agent, gateway} = this.stores;
    const file = this.#file;
    if (!file) return html``;
    const {theirs} = agent.state;
    const busy = agent.state.busy.size > 0 || !gateway.canAsk;
    return html`<div class="card">
      <div class="row bar">
        <h3>${file.name}</h3>
        <button @click=${() => this.dispatchEvent(new CustomEvent('close'))}>${t('app.close')}</button>
      </div>
      ${theirs ? this.#conflict(theirs, busy) : nothing}
      <textarea
        aria-label=${t('agent.fileText', {name: file.name})}
        spellcheck="false"
        .value=${live(this.draft ?? file.content)}
        @input=${(/** @type {any} */ event) => (this.draft = event.target.value)}
        @keydown=${this.#key}
      ></textarea>
      <div class="row bar">
        <span class="soft small" role="status">${this.changed ? t('config.unsaved') : t('agent.countsNext')}</span>
        <div class="row">
          <button ?disabled=${!this.changed || busy} @click=${() => (this.draft = null)}>${t('config.revert')}</button>
          <button class="main" ?disabled=${!this.changed || busy || theirs !== null} @click=${this.#save}>${t('app.save')}</button>
        </div>
      </div>
    </div>`;
  }

  /**
   * @param {import('./agent-store.js').OpenFile} theirs
   * @param {boolean} busy
   */
  #conflict(theirs, busy) {
    return html`<div class="note warn theirs" role="alert">
      <p>${t('agent.conflict')}</p>
      <pre tabindex="0">${theirs.content}</pre>
      <div class="row">
        <button ?disabled=${busy} @click=${this.#takeTheirs}>${t('config.takeTheirs')}</button>
        <button class="risk" ?disabled=${busy} @click=${this.#keepMine}>${t('config.keepMine')}</button>
      </div>
    </div>`;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== 's' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.#save();
  }

  async #save() {
    const {agent, gateway} = this.stores;
    if (!this.changed || agent.state.busy.size || agent.state.theirs || !gateway.canAsk) return;
    if (await agent.save(/** @type {string} */ (this.draft))) this.draft = null;
  }

  #takeTheirs() {
    this.draft = null;
    this.stores.agent.takeTheirs();
  }

  async #keepMine() {
    if (await this.stores.agent.keepMine(this.draft ?? '')) this.draft = null;
  }
}

customElements.define('oc-agent-file', AgentFile);
