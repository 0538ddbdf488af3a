/** `<oc-composer>`: where a message is typed. Enter sends, Shift+Enter makes a new line, Escape stops the answer. */

import {sendIcon, stopIcon} from './icons.js';
import {common} from './styles.js';
import {LitElement, css, html} from './vendor/lit.js';

const HIGHEST_PX = 240;

/** Fires `send` (`detail` is the text), `stop`, and `draft` (`detail` is what is typed so far). */
export class ChatComposer extends LitElement {
  static properties = {
    running: {type: Boolean},
    offline: {type: Boolean},
    draft: {},
    assistant: {},
  };

  static styles = [
    common,
    css`
      form {
        display: grid;
        grid-template-columns: 1fr auto;
        align-items: end;
        gap: 8px;
        padding: 8px;
        border: 1px solid var(--line-strong);
        border-radius: 14px;
        background: var(--raised);
        box-shadow: 0 4px 18px var(--shade);
      }
      form:focus-within {
        border-color: var(--accent);
        outline: 1px solid var(--accent);
        outline-offset: 0;
      }
      textarea {
        width: 100%;
        min-height: 36px;
        max-height: 240px;
        padding: 7px 8px;
        border: 0;
        outline: 0;
        background: none;
        color: inherit;
        font: inherit;
        line-height: 1.45;
        resize: none;
      }
      textarea:focus-visible {
        outline: none; /* the frame around it shows the focus */
      }
      textarea::placeholder {
        color: var(--ink-soft);
        opacity: 1;
      }
      .buttons {
        display: flex;
        gap: 6px;
      }
      .hint {
        margin: 6px 10px 0;
        color: var(--ink-soft);
        font-size: 0.78rem;
      }
      kbd {
        font: inherit;
        font-weight: 600;
      }
      @media (max-width: 640px) {
        /* Anything smaller makes a phone zoom into the field. */
        textarea {
          min-height: 44px;
          padding-block: 10px;
          font-size: 16px;
        }
        .hint {
          display: none;
        }
      }
    `,
  ];

  constructor() {
    super();
    this.running = false;
    this.offline = false;
    this.draft = '';
    this.assistant = '';
  }

  render() {
    return html`
      <form @submit=${this.#submit}>
        <label class="unseen" for="text">Message to ${this.assistant}</label>
        <textarea
          id="text"
          rows="1"
          placeholder="Message to ${this.assistant}"
          aria-describedby="hint"
          enterkeyhint="send"
          .value=${this.draft}
          @input=${this.#typed}
          @keydown=${this.#key}
        ></textarea>
        <div class="buttons">
          ${this.running
            ? html`<button type="button" class="square" aria-label="Stop the answer" title="Stop (Esc)" @click=${this.#stop}>
                ${stopIcon}
              </button>`
            : ''}
          <button class="main square" aria-label="Send" title="Send (Enter)" ?disabled=${this.offline || !this.draft.trim()}>
            ${sendIcon}
          </button>
        </div>
      </form>
      <p class="hint" id="hint">
        ${this.offline
          ? 'Not connected. What you type stays here.'
          : html`<kbd>Enter</kbd> sends · <kbd>Shift+Enter</kbd> new line${this.running ? html` · <kbd>Esc</kbd> stops` : ''}`}
      </p>
    `;
  }

  updated() {
    const field = this.#field;
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight, HIGHEST_PX)}px`;
  }

  async focus() {
    await this.updateComplete;
    this.#field.focus();
  }

  get #field() {
    return /** @type {HTMLTextAreaElement} */ (this.renderRoot.querySelector('textarea'));
  }

  #typed() {
    this.#draft(this.#field.value);
  }

  /** @param {string} text */
  #draft(text) {
    this.draft = text;
    this.dispatchEvent(new CustomEvent('draft', {detail: text}));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // While an input method composes a syllable, Enter and Escape are its own.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      this.#submit(event);
    }
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    const text = this.draft.trim();
    if (!text || this.offline) return;
    this.#draft('');
    this.dispatchEvent(new CustomEvent('send', {detail: text}));
    this.focus();
  }

  #stop() {
    this.dispatchEvent(new CustomEvent('stop'));
    this.focus();
  }
}

customElements.define('oc-composer', ChatComposer);
