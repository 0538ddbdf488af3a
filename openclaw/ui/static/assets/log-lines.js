/** `<oc-log-lines>`: lines of a log; scrolls along until the reader scrolls back. Everything in a line is text. */

import {dateTime} from './format.js';
import {FollowEnd} from './follow-end.js';
import {Localized, t} from './i18n.js';
import {parts} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {visible} from './visible-text.js';

export class LogLines extends Localized {
  static properties = {lines: {attribute: false}, total: {attribute: false}, file: {}, away: {state: true}};

  static styles = [
    common,
    parts,
    css`
      :host {
        display: grid;
        grid-template: minmax(0, 1fr) auto / minmax(0, 1fr);
        gap: 8px;
        min-height: 0;
      }
      .frame {
        position: relative;
        min-height: 0;
      }
      .scroll {
        height: 100%;
        padding: 8px 0;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--surface);
        overflow-y: auto;
        overscroll-behavior: contain;
        scrollbar-gutter: stable;
        font: 0.8rem/1.6 var(--mono);
      }
      ol {
        list-style: none;
      }
      li {
        display: grid;
        grid-template-columns: 5.2rem 4.6rem minmax(0, 1fr);
        gap: 0 10px;
        padding: 1px 14px;
        content-visibility: auto;
        contain-intrinsic-block-size: auto 1.6em;
        overflow-wrap: anywhere;
      }
      li:hover {
        background: var(--sunken);
      }
      time,
      .rest {
        color: var(--ink-soft);
      }
      time {
        white-space: nowrap;
      }
      .level {
        color: var(--ink-soft);
      }
      li.warning .level,
      li.warning b {
        color: var(--warn);
      }
      li.error .level,
      li.error b {
        color: var(--bad);
      }
      b {
        font-weight: 600;
      }
      .blank {
        padding: 32px;
        color: var(--ink-soft);
        font-family: var(--sans);
        font-size: 0.9rem;
        text-align: center;
      }
      .newest {
        position: absolute;
        inset: auto 0 14px;
        display: flex;
        justify-content: center;
        pointer-events: none;
      }
      .newest button {
        border-radius: 999px;
        box-shadow: 0 4px 14px var(--shade);
        pointer-events: auto;
      }
      @media (max-width: 760px) {
        li {
          grid-template-columns: auto 1fr;
          padding: 4px 12px;
        }
        li > .words {
          grid-column: 1 / -1;
        }
      }
    `,
  ];

  #end = new FollowEnd(this, () => this.renderRoot.querySelector('.scroll'));

  constructor() {
    super();
    /** @type {import('./log-line.js').Line[]} */
    this.lines = [];
    this.total = 0;
    this.file = '';
    this.away = false;
  }

  render() {
    return html`<div class="frame">
        <div class="scroll" tabindex="0" role="log" aria-live="off" aria-label=${t('app.logs')} @scroll=${() => this.#end.scrolled()}>
          ${this.lines.length
            ? html`<ol>${repeat(this.lines, ({number}) => number, row)}</ol>`
            : html`<p class="blank">${this.total ? t('logs.noMatch') : t('logs.empty')}</p>`}
        </div>
        ${this.away ? html`<div class="newest"><button @click=${() => this.#end.toEnd()}>${t('logs.newest')}</button></div>` : nothing}
      </div>
      <p class="soft small">
        ${t('logs.shown', {n: this.lines.length, all: this.total})} ${this.file ? t('logs.older', {file: this.file}) : nothing}
      </p>`;
  }

  updated() {
    this.#end.grown();
  }
}

/** @param {import('./log-line.js').Line} line */
const row = ({level, at, event, rest}) => html`<li class=${level}>
  <time title=${at ? dateTime(at) : nothing}>${at ? clock(at) : ''}</time><span class="level">${t(`logs.${level}`)}</span>
  <span class="words"><b>${visible(event)}</b> <span class="rest">${visible(rest)}</span></span>
</li>`;

/** @param {number} at seconds matter in a log, the words of a language do not */
const clock = (at) => new Date(at).toTimeString().slice(0, 8);

customElements.define('oc-log-lines', LogLines);
