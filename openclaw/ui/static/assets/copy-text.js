/** `<oc-copy>`: a line of text, such as a command, with a button that copies it. */

import {Localized, t} from './i18n.js';
import {copyIcon} from './icons.js';
import {common} from './styles.js';
import {css, html} from './vendor/lit.js';

const COPIED_MS = 1500;

export class CopyText extends Localized {
  static properties = {text: {}, label: {}, said: {state: true}};

  static styles = [
    common,
    css`
      .line {
        display: grid;
        grid-template-columns: 1fr auto;
        align-items: center;
        gap: 8px;
        padding: 2px 2px 2px 12px;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--sunken);
      }
      .line button {
        padding: 0 8px;
      }
      code {
        overflow-wrap: anywhere;
      }
    `,
  ];

  constructor() {
    super();
    this.text = '';
    this.label = '';
    this.said = '';
  }

  render() {
    return html`<div class="line">
      <code>${this.text}</code>
      <button type="button" class="bare small" aria-label=${this.label || t('app.copy')} @click=${this.#copy}>
        ${copyIcon}<span aria-live="polite">${this.said}</span>
      </button>
    </div>`;
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.text);
      this.said = t('app.copied');
    } catch {
      this.said = t('app.copyRefused');
    }
    setTimeout(() => (this.said = ''), COPIED_MS);
  }
}

customElements.define('oc-copy', CopyText);
