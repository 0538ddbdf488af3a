/** `<oc-text>`: model text, rendered; each block of code can be copied. */

import {Localized, t} from './i18n.js';
import {renderMarkdown} from './markdown.js';
import {common} from './styles.js';
import {css, html} from './vendor/lit.js';

const COPIED_MS = 1500;

export class ChatText extends Localized {
  static properties = {text: {}};

  static styles = [
    common,
    css`
      :host {
        overflow-wrap: anywhere;
      }
      .text > :first-child {
        margin-top: 0;
      }
      .text > :last-child {
        margin-bottom: 0;
      }
      .text :is(p, ul, ol, pre, blockquote, table, hr) {
        margin: 0.7em 0;
      }
      .text :is(h1, h2, h3, h4, h5, h6) {
        margin: 1.2em 0 0.5em;
        font-size: 1rem;
        font-weight: 650;
        letter-spacing: 0;
      }
      .text h1 {
        font-size: 1.2rem;
      }
      .text h2 {
        font-size: 1.08rem;
      }
      .text :is(ul, ol) {
        padding-left: 1.5em;
      }
      .text li + li {
        margin-top: 0.25em;
      }
      .text li > input {
        margin: 0 0.5em 0 0;
      }
      .text code {
        padding: 0.12em 0.35em;
        border-radius: 5px;
        background: var(--sunken);
      }
      .text .code {
        position: relative;
        margin: 0.8em 0;
      }
      .text pre {
        margin: 0;
        padding: 12px 14px;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--sunken);
        overflow-x: auto;
        overflow-wrap: normal;
        line-height: 1.5;
      }
      .text pre code {
        padding: 0;
        background: none;
        white-space: pre;
      }
      .text .code button {
        position: absolute;
        top: 6px;
        right: 6px;
        min-height: 28px;
        padding: 0 10px;
        font-size: 0.78rem;
        opacity: 0;
      }
      .text .code:hover button,
      .text .code button:focus-visible {
        opacity: 1;
      }
      @media (hover: none) {
        .text .code button {
          opacity: 1;
        }
      }
      .text blockquote {
        padding-left: 14px;
        border-left: 3px solid var(--line);
        color: var(--ink-soft);
      }
      .text table {
        display: block;
        max-width: 100%;
        overflow-x: auto;
        border-collapse: collapse;
        font-size: 0.92em;
      }
      .text [align="right"] {
        text-align: right !important;
      }
      .text [align="center"] {
        text-align: center !important;
      }
      .text li:has(> input) {
        list-style: none;
        margin-left: -1.3em;
      }
      .text :is(th, td) {
        padding: 6px 12px;
        border: 1px solid var(--line);
        text-align: left;
      }
      .text th {
        background: var(--sunken);
        font-weight: 600;
      }
      .text hr {
        border: 0;
        border-top: 1px solid var(--line);
      }
    `,
  ];

  constructor() {
    super();
    this.text = '';
  }

  render() {
    return html`<div class="text"></div>`;
  }

  updated() {
    const place = /** @type {HTMLElement} */ (this.renderRoot.querySelector('.text'));
    const fragment = renderMarkdown(this.text);
    for (const block of fragment.querySelectorAll('pre')) block.replaceWith(this.#copyable(block));
    place.replaceChildren(fragment);
  }

  /** @param {HTMLPreElement} block */
  #copyable(block) {
    const frame = document.createElement('div');
    frame.className = 'code';
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = t('app.copy');
    button.setAttribute('aria-label', t('chat.copyCode'));
    const code = block.textContent ?? '';
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(code);
        button.textContent = t('app.copied');
      } catch {
        button.textContent = t('app.copyRefused');
      }
      setTimeout(() => (button.textContent = t('app.copy')), COPIED_MS);
    });
    const copy = /** @type {HTMLPreElement} */ (block.cloneNode(true));
    copy.tabIndex = 0;
    frame.append(copy, button);
    return frame;
  }
}

customElements.define('oc-text', ChatText);
