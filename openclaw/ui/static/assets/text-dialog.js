/** `<oc-text-dialog>`: asks for a text. */

import {Localized, t} from './i18n.js';
import {dialogs, fields} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, live} from './vendor/lit.js';

/**
 * @typedef {object} TextQuestion
 * @property {string} title
 * @property {string} label
 * @property {string} hint
 * @property {string} value
 * @property {number} longest characters
 * @property {number} [lines] more than one gives room for a text of several lines
 */

export class TextDialog extends Localized {
  static properties = {question: {state: true}};

  static styles = [
    common,
    dialogs,
    fields,
    css`
      form {
        display: grid;
        gap: 14px;
      }
      .row {
        justify-content: flex-end;
        margin-top: 4px;
      }
    `,
  ];

  /** @type {(text: string | null) => void} */
  #answer = () => {};

  constructor() {
    super();
    /** @type {TextQuestion} */
    this.question = {title: '', label: '', hint: '', value: '', longest: 100};
  }

  /**
   * @param {TextQuestion} question
   * @returns {Promise<string | null>} null when nothing is to be changed
   */
  async ask(question) {
    this.question = question;
    await this.updateComplete;
    const dialog = /** @type {HTMLDialogElement} */ (this.renderRoot.querySelector('dialog'));
    dialog.returnValue = '';
    dialog.showModal();
    this.#input.select();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  get #input() {
    return /** @type {HTMLInputElement} */ (this.renderRoot.querySelector('#text'));
  }

  render() {
    const {title, label, hint, value, longest, lines = 1} = this.question;
    return html`<dialog aria-labelledby="title" @close=${this.#closed}>
      <form method="dialog">
        <h2 id="title">${title}</h2>
        <div class="field">
          <label for="text">${label}</label>
          ${lines > 1
            ? html`<textarea id="text" aria-describedby="hint" maxlength=${longest} rows=${lines} .value=${live(value)}></textarea>`
            : html`<input id="text" aria-describedby="hint" maxlength=${longest} autocomplete="off" .value=${live(value)} />`}
          <p id="hint" class="soft small">${hint}</p>
        </div>
        <div class="row">
          <button type="button" @click=${() => this.renderRoot.querySelector('dialog')?.close()}>${t('app.cancel')}</button>
          <button class="main" value="yes">${t('app.save')}</button>
        </div>
      </form>
    </dialog>`;
  }

  /** @param {Event} event */
  #closed(event) {
    const {returnValue} = /** @type {HTMLDialogElement} */ (event.target);
    this.#answer(returnValue === 'yes' ? this.#input.value.trim() : null);
  }
}

customElements.define('oc-text-dialog', TextDialog);
