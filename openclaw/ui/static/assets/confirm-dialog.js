/** `<oc-confirm>`: asks before something that cannot be taken back. */

import {Localized, t} from './i18n.js';
import {dialogs} from './styles-parts.js';
import {common} from './styles.js';
import {css, html} from './vendor/lit.js';

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} action the word on the button
 */

export class ConfirmDialog extends Localized {
  static properties = {question: {state: true}};

  static styles = [
    common,
    dialogs,
    css`
      form {
        display: grid;
        gap: 12px;
      }
      .row {
        justify-content: flex-end;
        margin-top: 8px;
      }
    `,
  ];

  /** @type {(yes: boolean) => void} */
  #answer = () => {};

  constructor() {
    super();
    /** @type {Question} */
    this.question = {title: '', text: '', action: ''};
  }

  /**
   * @param {Question} question
   * @returns {Promise<boolean>}
   */
  async ask(question) {
    this.question = question;
    await this.updateComplete;
    const dialog = /** @type {HTMLDialogElement} */ (this.renderRoot.querySelector('dialog'));
    dialog.returnValue = '';
    dialog.showModal();
    // The harmless answer is the one that Enter gives.
    dialog.querySelector('button')?.focus();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  render() {
    const {title, text, action} = this.question;
    return html`<dialog aria-labelledby="title" aria-describedby="text" @close=${this.#closed}>
      <form method="dialog">
        <h2 id="title">${title}</h2>
        <p id="text" class="soft">${text}</p>
        <div class="row">
          <button value="">${t('app.cancel')}</button>
          <button value="yes" class="main risk">${action}</button>
        </div>
      </form>
    </dialog>`;
  }

  /** @param {Event} event */
  #closed(event) {
    this.#answer(/** @type {HTMLDialogElement} */ (event.target).returnValue === 'yes');
  }
}

customElements.define('oc-confirm', ConfirmDialog);
