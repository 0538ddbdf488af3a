/** `<oc-item>`: one entry of a conversation: a message, an answer being written, a message that waits, an error. */

import './chat-text.js';
import './tool-card.js';
import {dateTime, timeOfDay} from './format.js';
import {Localized, t} from './i18n.js';
import {common} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';

export class ChatItem extends Localized {
  static properties = {
    // Wrappers are made anew for every event; what they hold is not.
    item: {attribute: false, hasChanged: (/** @type {any} */ now, /** @type {any} */ before) => held(now) !== held(before)},
    assistant: {},
  };

  static styles = [
    common,
    css`
      .mine {
        display: grid;
        justify-items: end;
        gap: 4px;
      }
      .bubble {
        max-width: min(34rem, 88%);
        padding: 9px 14px;
        border-radius: 14px 14px 4px 14px;
        background: var(--accent-wash);
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      .mine.waiting .bubble {
        opacity: 0.75;
      }
      .theirs {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 4px;
      }
      .who {
        display: flex;
        align-items: baseline;
        gap: 8px;
        font-size: 0.85rem;
      }
      .who b {
        font-weight: 620;
      }
      time,
      .state {
        color: var(--ink-soft);
        font-size: 0.8rem;
      }
      .tools {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 6px;
        margin-top: 4px;
      }
      .dots {
        display: inline-flex;
        gap: 5px;
        height: 24px;
        align-items: center;
      }
      .dots i {
        width: 6px;
        height: 6px;
        border-radius: 50%;
        background: var(--ink-soft);
        animation: breathe 1.2s infinite ease-in-out;
      }
      .dots i:nth-child(2) {
        animation-delay: 0.18s;
      }
      .dots i:nth-child(3) {
        animation-delay: 0.36s;
      }
      @keyframes breathe {
        0%,
        60%,
        100% {
          opacity: 0.25;
        }
        30% {
          opacity: 1;
        }
      }
      .note code {
        display: block;
        margin-top: 4px;
        opacity: 0.85;
      }
      .failed {
        display: grid;
        justify-items: end;
        gap: 6px;
        max-width: min(34rem, 100%);
      }
    `,
  ];

  constructor() {
    super();
    /** @type {import('./chat-state.js').Item | null} */
    this.item = null;
    this.assistant = '';
  }

  render() {
    const {item} = this;
    if (item?.kind === 'message') return item.message.role === 'user' ? this.#mine(item.message) : this.#theirs(item.message, item.follows);
    if (item?.kind === 'echo') return this.#echo(item.echo);
    if (item?.kind === 'run') return this.#run(item.run);
    if (item?.kind === 'notice') return this.#notice(item.notice);
    return nothing;
  }

  /** @param {import('./chat-state.js').Message} message */
  #mine(message) {
    return html`<article class="mine" aria-label=${t('chat.you')}>
      <div class="bubble">${message.text}</div>
      ${when(message.at)}
    </article>`;
  }

  /**
   * @param {import('./chat-state.js').Message} message
   * @param {boolean} follows the one before is from the assistant, too
   */
  #theirs(message, follows) {
    return html`<article class="theirs" aria-label=${this.assistant}>
      ${follows && !message.stopped
        ? nothing
        : html`<div class="who">
            <b>${this.assistant}</b> ${when(message.at)} ${message.stopped ? html`<span class="tag">${t('chat.stopped')}</span>` : nothing}
          </div>`}
      ${message.text ? html`<oc-text .text=${message.text}></oc-text>` : nothing}
      ${tools(message.tools)}
    </article>`;
  }

  /** @param {import('./chat-state.js').Run} run */
  #run(run) {
    return html`<article class="theirs" aria-label=${this.assistant} aria-busy="true">
      <div class="who"><b>${this.assistant}</b><span class="state">${run.text ? t('chat.writing') : t('chat.thinking')}</span></div>
      ${tools(run.tools)}
      ${run.text
        ? html`<oc-text .text=${run.text}></oc-text>`
        : html`<span class="dots" aria-hidden="true"><i></i><i></i><i></i></span>`}
    </article>`;
  }

  /** @param {import('./chat-state.js').Echo} echo */
  #echo(echo) {
    const failed = echo.status === 'failed';
    return html`<article class="mine ${echo.status === 'accepted' ? '' : 'waiting'}" aria-label=${t('chat.you')}>
      <div class="bubble">${echo.text}</div>
      ${failed
        ? html`<div class="failed" role="alert">
            <p class="note bad">${t('chat.notSent', {reason: echo.error})}</p>
            <div class="row">
              <button @click=${() => this.#tell('discard', echo)}>${t('chat.discard')}</button>
              <button @click=${() => this.#tell('resend', echo)}>${t('chat.resend')}</button>
            </div>
          </div>`
        : html`<span class="state">${['sending', 'queued'].includes(echo.status) ? t(`chat.${echo.status}`) : ''}</span>`}
    </article>`;
  }

  /** @param {import('./chat-state.js').Notice} notice */
  #notice(notice) {
    const named = notice.text.includes(notice.runId);
    return html`<article class="note bad" aria-label=${t('chat.error')}>
      ${notice.text || t('chat.noReason')} ${named ? nothing : html`<code>${t('chat.run', {id: notice.runId})}</code>`}
    </article>`;
  }

  /**
   * @param {string} name
   * @param {import('./chat-state.js').Echo} echo
   */
  #tell(name, echo) {
    this.dispatchEvent(new CustomEvent(name, {detail: echo}));
  }
}

/** @param {import('./chat-state.js').Item | null} [item] */
const held = (item) => item && Object.values(item).at(-1);

/** @param {import('./chat-tools.js').Tool[]} calls */
const tools = (calls) =>
  calls.length ? html`<div class="tools">${calls.map((call) => html`<oc-tool .tool=${call}></oc-tool>`)}</div>` : nothing;

/** @param {number} at */
const when = (at) =>
  at ? html`<time datetime=${new Date(at).toISOString()} title=${dateTime(at)}>${timeOfDay(at)}</time>` : nothing;

customElements.define('oc-item', ChatItem);
