/** `<oc-shortcuts>`: the keys that work here. */

import {Localized, rich, t} from './i18n.js';
import {PAGES} from './pages.js';
import {dialogs} from './styles-parts.js';
import {common} from './styles.js';
import {css, html} from './vendor/lit.js';

export class ShortcutsDialog extends Localized {
  static styles = [
    common,
    dialogs,
    css`
      dialog {
        --dialog-width: 34rem;
      }
      form {
        display: grid;
        gap: 16px;
      }
      dl {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 8px 20px;
        font-size: 0.92rem;
      }
      dt {
        color: var(--ink-soft);
        font-size: 0.85rem;
        white-space: nowrap;
      }
      kbd {
        display: inline-block;
        min-width: 24px;
        padding: 1px 7px;
        border: 1px solid var(--line);
        border-bottom-width: 2px;
        border-radius: 6px;
        background: var(--surface);
        color: var(--ink);
        font: 600 0.8rem/1.5 var(--mono);
        text-align: center;
      }
      .row {
        justify-content: flex-end;
      }
    `,
  ];

  render() {
    const go = Object.entries(PAGES).map(([name, {letter}]) =>
      line(rich('app.keyThen', {first: key('g'), second: key(letter)}), t('app.goTo', {page: t(`app.${name}`)})),
    );
    return html`<dialog aria-labelledby="title">
      <form method="dialog">
        <h2 id="title">${t('app.shortcuts')}</h2>
        <dl>
          ${line(key('?'), t('app.keyHelp'))} ${line(key('/'), t('app.keyFind'))} ${line(key('Esc'), t('app.keyEscape'))}
          ${line(key('Enter'), t('app.keyEnter'))} ${line([key('Shift'), ' ', key('Enter')], t('app.keyLine'))} ${go}
        </dl>
        <div class="row"><button autofocus>${t('app.close')}</button></div>
      </form>
    </dialog>`;
  }

  async open() {
    await this.updateComplete;
    const dialog = /** @type {HTMLDialogElement} */ (this.renderRoot.querySelector('dialog'));
    if (dialog.open) return;
    dialog.showModal();
    // The button at the end has the focus; reading begins at the top.
    dialog.scrollTop = 0;
  }
}

/** @param {string} name */
const key = (name) => html`<kbd>${name}</kbd>`;

/**
 * @param {unknown} keys
 * @param {string} does
 */
const line = (keys, does) => html`<dt>${keys}</dt><dd>${does}</dd>`;

customElements.define('oc-shortcuts', ShortcutsDialog);
