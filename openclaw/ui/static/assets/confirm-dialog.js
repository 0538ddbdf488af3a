/** `<oc-confirm>`: asks before something that cannot be taken back. */

import {common} from './styles.js';
import {LitElement, css, html} from './vendor/lit.js';

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} action the word on the button
 */

export class ConfirmDialog extends LitElement {
  static properties = {question: {state: true}};

  static styles = [
    common,
    css`
      dialog {
        width: min(26rem, calc(100vw - 32px));
        padding: 24px;
        border: 1px solid var(--line);
        border-radius: 14px;
        background: var(--raised);
        color: var(--ink);
        box-shadow: 0 24px 64px var(--shade);
      }
      dialog::backdrop {
        background: rgb(0 0 0 / 45%);
      }
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
          <button value="">Cancel</button>
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
