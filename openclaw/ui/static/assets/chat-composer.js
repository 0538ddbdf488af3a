/**
 * `<oc-composer>`: where a message is typed. Enter sends, Shift+Enter makes a new line, Escape stops the answer; a slash
 * shows the commands.
 */

import {matching, meaning} from './chat-commands.js';
import {composer} from './chat-composer-styles.js';
import {Localized, rich, t} from './i18n.js';
import {sendIcon, stopIcon} from './icons.js';
import {common} from './styles.js';
import {html, nothing} from './vendor/lit.js';

const HIGHEST_PX = 240;

/** Fires `send` (`detail` is the text), `stop`, and `draft` (`detail` is what is typed so far). */
export class ChatComposer extends Localized {
  static properties = {
    running: {type: Boolean},
    offline: {type: Boolean},
    draft: {},
    assistant: {},
    chosen: {state: true},
    dismissed: {state: true},
  };

  static styles = [common, composer];

  constructor() {
    super();
    this.running = false;
    this.offline = false;
    this.draft = '';
    this.assistant = '';
    /** Which of the shown commands Enter would take. */
    this.chosen = 0;
    /** @type {string} the draft for which the list was put away */
    this.dismissed = '';
  }

  get #commands() {
    return this.draft === this.dismissed ? [] : matching(this.draft);
  }

  render() {
    const label = t('chat.messageTo', {name: this.assistant});
    const commands = this.#commands;
    return html`
      ${commands.length ? this.#list(commands) : nothing}
      <form @submit=${this.#submit}>
        <label class="unseen" for="text">${label}</label>
        <textarea
          id="text"
          rows="1"
          placeholder=${label}
          aria-describedby="hint"
          aria-controls=${commands.length ? 'commands' : nothing}
          aria-activedescendant=${commands.length ? `command-${this.#index(commands)}` : nothing}
          aria-autocomplete="list"
          enterkeyhint="send"
          .value=${this.draft}
          @input=${this.#typed}
          @keydown=${this.#key}
        ></textarea>
        <div class="buttons">
          <button
            type="button"
            class="square ${this.running ? '' : 'idle'}"
            aria-label=${t('chat.stop')}
            title=${t('chat.stopHint')}
            @click=${this.#stop}
          >
            ${stopIcon}
          </button>
          <button class="main square" aria-label=${t('chat.send')} title=${t('chat.sendHint')} ?disabled=${this.offline || !this.draft.trim()}>
            ${sendIcon}
          </button>
        </div>
      </form>
      <p class="hint" id="hint">${this.#hint()}</p>
    `;
  }

  #hint() {
    if (this.offline) return t('chat.offline');
    const key = (/** @type {string} */ name) => html`<kbd>${name}</kbd>`;
    return html`${rich('chat.hintSend', {key: key('Enter')})} · ${rich('chat.hintLine', {key: key('Shift+Enter')})}
    ${this.running ? html`· ${rich('chat.hintStop', {key: key('Esc')})} · ${t('chat.hintQueue')}` : nothing}`;
  }

  /** @param {import('./chat-commands.js').Command[]} commands */
  #list(commands) {
    const index = this.#index(commands);
    return html`<ul id="commands" class="commands" role="listbox" aria-label=${t('chat.commands')}>
      ${commands.map(
        (command, at) => html`<li
          id="command-${at}"
          role="option"
          aria-selected=${String(at === index)}
          @mousedown=${(/** @type {Event} */ event) => event.preventDefault()}
          @click=${() => this.#send(command.name)}
        >
          <code>${command.name}</code> <span class="soft">${meaning(command)}</span>
        </li>`,
      )}
    </ul>`;
  }

  /** @param {unknown[]} commands */
  #index(commands) {
    return Math.min(this.chosen, commands.length - 1);
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
    this.chosen = 0;
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
    const commands = this.#commands;
    if (commands.length && this.#commandKey(event, commands)) {
      event.preventDefault();
      event.stopPropagation();
    } else if (event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      this.#submit(event);
    }
  }

  /**
   * @param {KeyboardEvent} event
   * @param {import('./chat-commands.js').Command[]} commands
   * @returns {boolean} whether the list took the key
   */
  #commandKey(event, commands) {
    const index = this.#index(commands);
    if (event.key === 'ArrowDown') this.chosen = (index + 1) % commands.length;
    else if (event.key === 'ArrowUp') this.chosen = (index + commands.length - 1) % commands.length;
    else if (event.key === 'Escape') this.dismissed = this.draft;
    else if (event.key === 'Tab') this.#draft(commands[index].name);
    else if (event.key === 'Enter' && !event.shiftKey) this.#send(commands[index].name);
    else return false;
    return true;
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    this.#send(this.draft.trim());
  }

  /** @param {string} text */
  #send(text) {
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
