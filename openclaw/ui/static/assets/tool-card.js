/** `<oc-tool>`: one call of a tool; what it was given and what it answered can be opened. All of it is text. */

import {Localized, t} from './i18n.js';
import {toolIcon} from './icons.js';
import {common} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {visible} from './visible-text.js';

const COLOURS = {running: 'warn', done: 'good', failed: 'bad'};
const WORDS = {running: 'chat.toolRunning', done: 'chat.toolDone', failed: 'chat.toolFailed'};

export class ToolCard extends Localized {
  static properties = {tool: {attribute: false}};

  static styles = [
    common,
    css`
      details {
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--surface);
        font-size: 0.88rem;
      }
      summary {
        display: flex;
        align-items: center;
        gap: 8px;
        min-height: 36px;
        padding: 0 12px;
        color: var(--ink-soft);
        cursor: pointer;
        list-style: none;
      }
      summary::-webkit-details-marker {
        display: none;
      }
      summary svg {
        flex: none;
        width: 16px;
        height: 16px;
      }
      summary b {
        min-width: 0;
        color: var(--ink);
        font: 600 0.85rem/1.4 var(--mono);
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .line {
        flex: 1 1 0;
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .body {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 4px;
        padding: 4px 12px 12px;
      }
      pre {
        max-height: 16rem;
        margin: 0;
        padding: 8px 10px;
        border-radius: 6px;
        background: var(--sunken);
        font: 0.8rem/1.5 var(--mono);
        overflow: auto;
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }
    `,
  ];

  constructor() {
    super();
    /** @type {import('./chat-tools.js').Tool | null} */
    this.tool = null;
  }

  render() {
    if (!this.tool) return nothing;
    const {name, input, output, status} = this.tool;
    return html`<details>
      <summary>
        ${toolIcon} <b>${name || t('chat.tool')}</b> <span class="line">${visible(input.replace(/\s+/g, ' '))}</span>
        <span class="tag ${COLOURS[status]}">${t(WORDS[status])}</span>
      </summary>
      <div class="body">
        ${input ? html`<span class="soft small">${t('chat.toolInput')}</span><pre tabindex="0">${visible(input)}</pre>` : nothing}
        ${output ? html`<span class="soft small">${t('chat.toolOutput')}</span><pre tabindex="0">${visible(output)}</pre>` : nothing}
        ${input || output ? nothing : html`<span class="soft small">${t('chat.toolNoDetail')}</span>`}
      </div>
    </details>`;
  }
}

customElements.define('oc-tool', ToolCard);
