/** `<oc-sessions>`: every conversation there is, and what can be done to it. */

import './confirm-dialog.js';
import './text-dialog.js';
import {ago, compact, dateTime} from './format.js';
import {t} from './i18n.js';
import {fits, pageHead, refreshButton, searchField} from './page-parts.js';
import {outcome, whenReady} from './page-state.js';
import {address} from './route.js';
import {fields, parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {Page} from './view.js';

export class SessionsView extends Page {
  static watches = /** @type {const} */ (['sessions', 'gateway']);
  static reads = /** @type {any} */ (['sessions']);
  static properties = {text: {state: true}};

  static styles = [
    common,
    page,
    parts,
    fields,
    css`
      .session {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 8px;
        padding: 16px 20px;
      }
      h3 a {
        color: inherit;
        text-decoration: none;
      }
      h3 a:hover {
        text-decoration: underline;
      }
      .preview {
        display: -webkit-box;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 2;
        overflow: hidden;
      }
      .facts {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 14px;
      }
      .facts code {
        min-width: 0;
        overflow-wrap: anywhere;
      }
      button {
        min-height: 32px;
        padding: 0 10px;
        font-size: 0.85rem;
      }
      @media (max-width: 640px) {
        button {
          min-height: 44px;
        }
      }
    `,
  ];

  constructor() {
    super();
    this.text = '';
  }

  render() {
    const {sessions, gateway} = this.stores;
    return html`<div class="page">
        ${pageHead(t('app.sessions'), {actions: refreshButton(() => sessions.reload(), gateway.canAsk)})}
        ${outcome(sessions)} ${whenReady(sessions, () => this.#body())}
      </div>
      <oc-confirm></oc-confirm><oc-text-dialog></oc-text-dialog>`;
  }

  #body() {
    const all = this.stores.sessions.state.sessions;
    if (!all.length) return html`<p class="card soft">${t('sessions.none')}</p>`;
    const shown = all.filter((session) => this.#fits(session));
    return html`<div class="tools">
        ${searchField(t('sessions.find'), this.text, (text) => (this.text = text))}
        <span class="soft small" role="status">${t('sessions.count', {n: shown.length})}</span>
      </div>
      ${shown.length
        ? html`<ul class="cards">${repeat(shown, ({key}) => key, (session) => this.#session(session))}</ul>`
        : html`<p class="card soft">${t('sessions.noMatch', {text: this.text})}</p>`}`;
  }

  /** @param {any} session */
  #fits(session) {
    const {key, label, displayName, derivedTitle, lastMessagePreview, model} = session;
    const all = [this.stores.sessions.nameOf(session), key, label, displayName, derivedTitle, lastMessagePreview, model].join('\n');
    return fits(this.text, all);
  }

  /** @param {any} session */
  #session(session) {
    const {sessions} = this.stores;
    const name = sessions.nameOf(session);
    const main = session.key === sessions.state.mainKey;
    const preview = session.lastMessagePreview || session.derivedTitle;
    return html`<li class="card session">
      <div class="top">
        <div>
          <h3 class="name">
            <a href=${address('chat', session.key)}>${name}</a>
            ${main ? html`<span class="tag">${t('sessions.main')}</span>` : nothing}
            ${session.kind === 'group' ? html`<span class="tag">${t('sessions.group')}</span>` : nothing}
            ${session.abortedLastRun ? html`<span class="tag warn">${t('sessions.aborted')}</span>` : nothing}
          </h3>
        </div>
        <span class="soft small" title=${session.updatedAt ? dateTime(session.updatedAt) : nothing}>${ago(session.updatedAt)}</span>
      </div>
      ${preview ? html`<p class="soft small preview">${preview}</p>` : nothing}
      <p class="soft small facts">
        <span>${session.model ?? ''}</span>
        ${session.totalTokens ? html`<span>${this.#size(session)}</span>` : nothing}
        <code>${session.key}</code>
      </p>
      ${this.#actions(session, name, main)}
    </li>`;
  }

  /**
   * @param {any} session
   * @param {string} name
   * @param {boolean} main
   */
  #actions(session, name, main) {
    const {sessions, gateway} = this.stores;
    const busy = sessions.state.busy.has(session.key) || !gateway.canAsk;
    const button = (/** @type {string} */ word, /** @type {() => void} */ act, kind = '') =>
      html`<button class=${kind} aria-label="${word}: ${name}" ?disabled=${busy} @click=${act}>${word}</button>`;
    return html`<div class="row" role="group" aria-label=${t('sessions.actions', {name})}>
      ${button(t('sessions.chat'), () => (location.hash = address('chat', session.key)))}
      ${button(t('sessions.rename'), () => this.#rename(session, name))} ${button(t('sessions.compact'), () => sessions.compact(session))}
      ${button(t('sessions.reset'), () => this.#reset(session, name), 'risk')}
      ${main ? nothing : button(t('app.delete'), () => this.#delete(session, name), 'risk')}
    </div>`;
  }

  /** @param {any} session */
  #size({totalTokens, contextTokens}) {
    const used = compact(totalTokens);
    return contextTokens ? t('sessions.sizeOf', {used, all: compact(contextTokens)}) : t('sessions.tokens', {used});
  }

  /**
   * @param {any} session
   * @param {string} name
   */
  async #rename(session, name) {
    const dialog = /** @type {import('./text-dialog.js').TextDialog} */ (this.renderRoot.querySelector('oc-text-dialog'));
    const title = t('sessions.renameOf', {name});
    const label = await dialog.ask({title, label: t('sessions.label'), hint: t('sessions.labelHint'), value: session.label ?? '', longest: 64});
    if (label !== null) await this.stores.sessions.rename(session, label);
  }

  /**
   * @param {any} session
   * @param {string} name
   */
  async #reset(session, name) {
    const question = {title: t('sessions.sureReset', {name}), text: t('sessions.resetText'), action: t('sessions.reset')};
    if (await this.sure(question)) await this.stores.sessions.reset(session);
  }

  /**
   * @param {any} session
   * @param {string} name
   */
  async #delete(session, name) {
    const question = {title: t('sessions.sureDelete', {name}), text: t('sessions.deleteText'), action: t('app.delete')};
    if (await this.sure(question)) await this.stores.sessions.delete(session);
  }
}

customElements.define('oc-sessions', SessionsView);
