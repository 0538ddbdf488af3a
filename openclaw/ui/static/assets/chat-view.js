/** `<oc-chat>`: one session's conversation, and the choice of another. */

import './chat-composer.js';
import './chat-item.js';
import {isOfThePage} from './chat-commands.js';
import {timeline} from './chat-state.js';
import {FollowEnd} from './follow-end.js';
import {t} from './i18n.js';
import {address} from './route.js';
import {sessionName} from './sessions-store.js';
import {common} from './styles.js';
import {css, html, live, nothing, repeat} from './vendor/lit.js';
import {View} from './view.js';

export class ChatView extends View {
  static watches = /** @type {const} */ (['chats', 'sessions', 'gateway']);
  static properties = {away: {state: true}};

  static styles = [
    common,
    css`
      :host {
        display: grid;
        grid-template: auto minmax(0, 1fr) auto / minmax(0, 1fr);
        height: 100%;
        min-height: 0;
      }
      .bar {
        border-bottom: 1px solid var(--line);
      }
      .bar > div,
      .composer {
        width: 100%;
        max-width: 48rem;
        margin: 0 auto;
        padding: 8px 24px;
      }
      .bar > div {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 12px;
      }
      .bar label {
        display: flex;
        align-items: center;
        gap: 8px;
        min-width: 0;
        color: var(--ink-soft);
        font-size: 0.85rem;
      }
      select {
        min-width: 0;
        max-width: 100%;
        min-height: 36px;
        padding: 0 8px;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--raised);
        color: var(--ink);
        font: inherit;
        font-size: 0.9rem;
        text-overflow: ellipsis;
      }
      .scroll {
        position: relative;
        min-height: 0;
        overflow-y: auto;
        overscroll-behavior: contain;
        scrollbar-gutter: stable both-edges;
      }
      .log {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 22px;
        max-width: 48rem;
        margin: 0 auto;
        padding: 24px;
      }
      .blank {
        display: grid;
        place-content: center;
        gap: 8px;
        height: 100%;
        padding: 24px;
        color: var(--ink-soft);
        text-align: center;
      }
      .blank h2 {
        color: var(--ink);
        font-size: 1.2rem;
      }
      .blank button {
        justify-self: center;
      }
      .composer {
        padding-bottom: 14px;
      }
      .newest {
        display: flex;
        justify-content: center;
        height: 0;
      }
      .newest button {
        position: relative;
        top: -46px;
        border-radius: 999px;
        box-shadow: 0 4px 14px var(--shade);
      }
      @media (max-width: 640px) {
        .scroll {
          scrollbar-gutter: auto;
        }
        .log,
        .bar > div,
        .composer {
          padding-inline: 14px;
        }
        .composer {
          padding-bottom: 8px;
        }
        select {
          min-height: 44px;
          font-size: 16px;
        }
      }
    `,
  ];

  #shown = '';
  /** Streamed text grows inside the entries, without an update of this view. */
  #growth = new ResizeObserver(() => this.#end.grown());
  #end = new FollowEnd(this, () => this.#scroll);
  /** @type {Element | null} */
  #watched = null;

  constructor() {
    super();
    this.away = false;
  }

  render() {
    const {chats, sessions, gateway} = this.stores;
    const key = sessions.state.current;
    const chat = chats.chat(key);
    const {assistantName} = gateway.state;
    return html`
      <div class="bar">
        <h1 class="unseen">${t('app.chat')}</h1>
        <div>
          <label>${t('chat.session')} ${this.#picker()}</label>
        </div>
      </div>
      <div class="scroll" tabindex="-1" @scroll=${() => this.#end.scrolled()}>${this.#body(chat, key)}</div>
      <div class="composer">
        <div class="newest">
          ${this.away ? html`<button @click=${() => this.#end.toEnd()}>${t('chat.newest')}</button>` : nothing}
        </div>
        <oc-composer
          .assistant=${assistantName}
          .draft=${chats.drafts.get(key) ?? ''}
          .running=${chat.runs.length > 0}
          .offline=${!gateway.canAsk}
          @draft=${(/** @type {CustomEvent} */ event) => chats.drafts.set(key, event.detail)}
          @send=${(/** @type {CustomEvent} */ event) => this.#send(key, event.detail)}
          @stop=${() => chats.abort(key)}
        ></oc-composer>
      </div>
      <div class="unseen" aria-live="polite">${chats.state.said} ${sessions.state.said}</div>
    `;
  }

  #picker() {
    const {sessions, mainKey, current} = this.stores.sessions.state;
    const known = new Map(sessions.map((session) => [session.key, session]));
    for (const key of [current, mainKey]) if (key && !known.has(key)) known.set(key, {key});
    const ordered = [...known.values()].sort((a, b) => Number(b.key === mainKey) - Number(a.key === mainKey));
    return html`<select .value=${live(current)} @change=${this.#chosen}>
      ${repeat(
        ordered,
        ({key}) => key,
        (session) => html`<option value=${session.key} ?selected=${session.key === current}>${sessionName(session, mainKey)}</option>`,
      )}
    </select>`;
  }

  /**
   * @param {import('./chat-state.js').Chat} chat
   * @param {string} key
   */
  #body(chat, key) {
    const items = timeline(chat);
    if (!items.length && chat.phase === 'loading') return html`<div class="blank" role="status">${t('chat.reading')}</div>`;
    if (!items.length && chat.phase === 'failed') {
      return html`<div class="blank" role="alert">
        <h2>${t('chat.unreadable')}</h2>
        <p>${chat.error}</p>
        <button @click=${() => this.stores.chats.load(key)}>${t('app.tryAgain')}</button>
      </div>`;
    }
    const {assistantName} = this.stores.gateway.state;
    if (!items.length) {
      return html`<div class="blank">
        <h2>${t('chat.empty')}</h2>
        <p>${t('chat.emptyText', {name: assistantName})}</p>
      </div>`;
    }
    return html`<div class="log" role="log" aria-live="off" aria-label=${t('chat.with', {name: assistantName})}>
      ${repeat(
        items,
        (item) => item.key,
        (item) => html`<oc-item
          .item=${item}
          .assistant=${assistantName}
          @resend=${(/** @type {CustomEvent} */ event) => this.stores.chats.resend(key, event.detail)}
          @discard=${(/** @type {CustomEvent} */ event) => this.stores.chats.discard(key, event.detail.id)}
        ></oc-item>`,
      )}
    </div>`;
  }

  connectedCallback() {
    super.connectedCallback();
    this.addEventListener('keydown', this.#key);
  }

  firstUpdated() {
    this.#growth.observe(this.#scroll);
    // On a phone this would open the keyboard over the conversation.
    if (matchMedia('(hover: hover)').matches) this.composer.focus();
  }

  updated() {
    const log = this.#scroll.querySelector('.log');
    if (log && log !== this.#watched) this.#growth.observe(log);
    this.#watched = log;
    const key = this.stores.sessions.state.current;
    if (key !== this.#shown) {
      this.#shown = key;
      this.#end.toEnd();
    }
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#growth.disconnect();
  }

  get composer() {
    return /** @type {import('./chat-composer.js').ChatComposer} */ (this.renderRoot.querySelector('oc-composer'));
  }

  get #scroll() {
    return /** @type {HTMLElement} */ (this.renderRoot.querySelector('.scroll'));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== 'Escape' || event.isComposing) return;
    const {chats, sessions} = this.stores;
    chats.abort(sessions.state.current);
  }

  /** @param {Event} event */
  #chosen(event) {
    location.hash = address('chat', /** @type {HTMLSelectElement} */ (event.target).value);
    this.composer.focus();
  }

  /**
   * @param {string} key
   * @param {string} text
   */
  #send(key, text) {
    if (isOfThePage(text)) {
      this.#carryOut(key, text.trim().toLowerCase());
      return;
    }
    this.stores.chats.send(key, text);
    this.#end.toEnd();
  }

  /**
   * @param {string} key
   * @param {string} command
   */
  #carryOut(key, command) {
    if (command === '/model') location.hash = address('models');
    else if (command === '/compact') this.stores.sessions.compact({key});
    else this.dispatchEvent(new CustomEvent('help', {bubbles: true, composed: true}));
  }
}

customElements.define('oc-chat', ChatView);
