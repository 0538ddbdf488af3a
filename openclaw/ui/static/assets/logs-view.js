/** `<oc-logs>`: the gateway's log as it is written, by level and by text. */

import './log-lines.js';
import {t} from './i18n.js';
import {LEVELS} from './log-line.js';
import {fits, pageHead, searchField} from './page-parts.js';
import {outcome, whenReady} from './page-state.js';
import {fields, parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html} from './vendor/lit.js';
import {Page} from './view.js';

/** Below this nothing is shown at first: debugging lines would bury the rest. */
const AT_FIRST = new Set(['info', 'warning', 'error']);

export class LogsView extends Page {
  static watches = /** @type {const} */ (['logs', 'gateway']);
  static reads = /** @type {any} */ (['logs']);
  static properties = {text: {state: true}, levels: {state: true}};

  static styles = [
    common,
    page,
    parts,
    fields,
    css`
      :host {
        overflow: hidden;
      }
      .page {
        grid-template-rows: auto auto minmax(0, 1fr);
        gap: 12px;
        max-width: 80rem;
        height: 100%;
        padding-bottom: 20px;
      }
      .levels {
        display: flex;
        gap: 4px;
        padding: 0;
        margin: 0;
        border: 0;
      }
      .levels button {
        min-height: 32px;
        padding: 0 10px;
        border-radius: 999px;
        font-size: 0.82rem;
      }
      .levels button[aria-pressed='true'] {
        border-color: transparent;
        background: var(--accent-wash);
        color: var(--accent);
      }
      @media (max-width: 640px) {
        .levels button {
          min-height: 40px;
        }
        .tools input[type='search'] {
          flex-basis: 100%;
        }
      }
    `,
  ];

  #lines = /** @type {any[]} */ ([]);
  #made = /** @type {any[]} */ ([]);

  constructor() {
    super();
    this.text = '';
    /** @type {ReadonlySet<string>} */
    this.levels = AT_FIRST;
  }

  render() {
    const {logs, gateway} = this.stores;
    const {paused, held, file, cut} = logs.state;
    return html`<div class="page">
      ${pageHead(t('app.logs'), {
        below: html`<p class="soft small" role="status">${paused ? t('logs.paused', {n: held.length}) : t('logs.following')}</p>`,
        actions: html`<button aria-pressed=${String(paused)} @click=${() => logs.pause(!paused)} ?disabled=${!gateway.canAsk && !paused}>
          ${paused ? t('logs.resume') : t('logs.pause')}
        </button>`,
      })}
      <div class="tools">
        ${searchField(t('logs.find'), this.text, (text) => (this.text = text))}
        <div class="levels" role="group" aria-label=${t('logs.levels')}>${LEVELS.map((level) => this.#level(level))}</div>
        ${outcome(logs)}
      </div>
      ${whenReady(logs, () => html`<oc-log-lines .lines=${this.#shown()} .total=${logs.state.lines.length} .file=${cut ? file : ''}></oc-log-lines>`)}
    </div>`;
  }

  /** The same list as long as nothing changed, so that two thousand lines are not drawn again. */
  #shown() {
    const {lines} = this.stores.logs.state;
    const key = [lines, this.text, this.levels];
    if (key.some((part, index) => part !== this.#made[index])) {
      this.#made = key;
      this.#lines = lines.filter((line) => this.levels.has(line.level) && fits(this.text, line.text));
    }
    return this.#lines;
  }

  /** @param {string} level */
  #level(level) {
    const on = this.levels.has(level);
    return html`<button aria-pressed=${String(on)} @click=${() => this.#toggle(level, !on)}>${t(`logs.${level}`)}</button>`;
  }

  /**
   * @param {string} level
   * @param {boolean} on
   */
  #toggle(level, on) {
    const levels = new Set(this.levels);
    if (on) levels.add(level);
    else levels.delete(level);
    this.levels = levels;
  }
}

customElements.define('oc-logs', LogsView);
