/** `<oc-config>`: the configuration as a form and as a file; what is wrong with it, and what to do about a conflict. */

import './config-conflict.js';
import './config-file.js';
import './config-form-view.js';
import './copy-text.js';
import {t} from './i18n.js';
import {lineOfPath} from './json5-lines.js';
import {pageHead} from './page-parts.js';
import {outcome, whenReady} from './page-state.js';
import {fields, parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {Page} from './view.js';

export class ConfigView extends Page {
  static watches = /** @type {const} */ (['config', 'gateway']);
  static reads = /** @type {any} */ (['config']);
  static properties = {mode: {state: true}, mending: {state: true}};

  static styles = [
    common,
    page,
    parts,
    fields,
    css`
      .modes {
        display: inline-flex;
        padding: 3px;
        border-radius: 10px;
        background: var(--sunken);
      }
      .modes button {
        min-height: 32px;
        border-color: transparent;
        background: none;
        color: var(--ink-soft);
      }
      .modes button[aria-pressed='true'] {
        background: var(--raised);
        color: var(--ink);
        box-shadow: 0 1px 3px var(--shade);
      }
      .issues {
        display: grid;
        gap: 6px;
        padding-left: 1.2em;
        font-size: 0.9rem;
        overflow-wrap: anywhere;
      }
      .issues button {
        display: inline;
        min-height: 0;
        padding: 0;
        border: 0;
        color: inherit;
        background: none;
        font: inherit;
        text-decoration: underline;
        text-underline-offset: 2px;
      }
      .issues code {
        font-weight: 600;
      }
      .problems {
        display: grid;
        gap: 8px;
      }
    `,
  ];

  constructor() {
    super();
    /** @type {'form' | 'raw'} */
    this.mode = 'form';
    /** The file cannot be shown, and is written anew from the last valid one. */
    this.mending = false;
  }

  willUpdate() {
    super.willUpdate();
    if (this.stores?.config.state.snapshot?.valid) this.mending = false;
  }

  render() {
    const {config} = this.stores;
    const {snapshot, conflict} = config.state;
    return html`<div class="page">
        ${pageHead(t('app.config'), {
          below: snapshot ? html`<p class="soft small mono">${snapshot.path}</p>` : nothing,
          actions: typeof snapshot?.raw === 'string' ? this.#modes() : nothing,
        })}
        ${outcome(config)} ${this.#problems()} ${this.#partlyHidden()}
        ${conflict ? html`<oc-config-conflict .stores=${this.stores} @settled=${this.#settled}></oc-config-conflict>` : nothing}
        ${whenReady(config, () => this.#editor())}
      </div>`;
  }

  #modes() {
    const mode = this.#mode;
    const button = (/** @type {'form' | 'raw'} */ name) =>
      html`<button aria-pressed=${String(mode === name)} @click=${() => (this.mode = name)}>${t(`config.${name}`)}</button>`;
    return html`<div class="modes" role="group" aria-label=${t('config.mode')}>${button('form')}${button('raw')}</div>`;
  }

  /** A file that is not valid can only be mended as a file. */
  get #mode() {
    const {snapshot, schema, schemaRead} = this.stores.config.state;
    return (schemaRead && !schema) || snapshot?.valid === false ? 'raw' : this.mode;
  }

  #editor() {
    const {schema, schemaRead, snapshot} = this.stores.config.state;
    if (typeof snapshot.raw !== 'string') return this.#hidden();
    if (this.#mode === 'raw') {
      return html`${schemaRead && !schema ? html`<p class="note">${t('config.noSchema')}</p>` : nothing}
        <oc-config-file .stores=${this.stores}></oc-config-file>`;
    }
    if (!schemaRead) return html`<p class="soft" role="status">${t('app.loading')}</p>`;
    return html`<oc-config-form .stores=${this.stores}></oc-config-form>`;
  }

  /** The gateway gives no text that it could not take the secrets out of; of the last valid one it could. */
  #hidden() {
    const last = this.stores.config.state.snapshot?.lastValid?.raw;
    const offered = typeof last === 'string';
    if (offered && this.mending) {
      return html`<p class="note warn">${t('config.mendingText')}</p>
        <oc-config-file .stores=${this.stores} .offered=${last}></oc-config-file>`;
    }
    return html`<div class="card problems">
      <h2>${t('config.hiddenTitle')}</h2>
      <p class="soft">${t('config.hiddenText')}</p>
      <oc-copy text="openclaw config validate" label=${t('connect.copyCommand')}></oc-copy>
      ${offered
        ? html`<p class="soft">${t('config.lastValidText')}</p>
            <div class="row"><button @click=${() => (this.mending = true)}>${t('config.lastValid')}</button></div>`
        : nothing}
    </div>`;
  }

  #problems() {
    const {config} = this.stores;
    const {snapshot, refused} = config.state;
    const {issues} = config;
    const warnings = snapshot?.warnings ?? [];
    return html`${issues.length
      ? html`<div class="note bad problems" role="alert">
          ${refused.length ? nothing : html`<p>${t('config.pending')}</p>`}
          <ul class="issues">${issues.map((issue) => this.#issue(issue))}</ul>
        </div>`
      : nothing}
    ${config.waitsForRestart.length
      ? html`<p class="note warn" role="status">${t('config.waits', {paths: config.waitsForRestart.join(', ')})}</p>`
      : nothing}
    ${warnings.length
      ? html`<div class="note warn problems"><ul class="issues">${warnings.map((/** @type {any} */ issue) => this.#issue(issue))}</ul></div>`
      : nothing}`;
  }

  /** Of a file that is not valid more is hidden than is secret. */
  #partlyHidden() {
    const {snapshot} = this.stores.config.state;
    if (snapshot?.valid !== false || typeof snapshot.raw !== 'string') return nothing;
    return html`<p class="note">${t('config.partlyHidden')}</p>`;
  }

  /** @param {import('./config-store.js').Issue} issue */
  #issue(issue) {
    const line = issue.line ?? lineOfPath(this.stores.config.state.snapshot?.raw ?? '', issue.path ?? '');
    return html`<li>
      <code>${issue.path || t('config.root')}</code>
      ${line ? html`(<button @click=${() => this.#show(line)}>${t('config.atLine', {line})}</button>)` : nothing}: ${issue.message}
    </li>`;
  }

  /** @param {number} line */
  async #show(line) {
    this.mode = 'raw';
    await this.updateComplete;
    /** @type {import('./config-file.js').ConfigFile} */ (this.renderRoot.querySelector('oc-config-file'))?.goTo(line);
  }

  /** A conflict is over: whoever edits starts from what the gateway has now. */
  #settled() {
    for (const editor of this.renderRoot.querySelectorAll('oc-config-file, oc-config-form')) /** @type {any} */ (editor).revert();
  }
}

customElements.define('oc-config', ConfigView);
