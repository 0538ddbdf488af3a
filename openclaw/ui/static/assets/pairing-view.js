/** `<oc-pairing>`: this browser waits until somebody approves it; it goes on by itself then. */

import './copy-text.js';
import {devicesIcon} from './icons.js';
import {centred, common} from './styles.js';
import {css, html} from './vendor/lit.js';
import {View} from './view.js';

/** @type {Record<string, string>} */
const REASONS = {
  'not-paired': 'This browser is new to the gateway. Somebody with access has to approve it once.',
  'role-upgrade': 'This browser asks for another role than it was approved for. Somebody has to approve the change.',
  'scope-upgrade': 'This browser asks for more rights than it was approved for. Somebody has to approve the change.',
  'metadata-upgrade': 'This browser looks different from when it was approved. Somebody has to approve it again.',
};

export class PairingView extends View {
  static watches = /** @type {const} */ (['gateway']);

  static styles = [
    common,
    centred,
    css`
      ol {
        display: grid;
        gap: 8px;
        list-style: none;
      }
      dl {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 4px 16px;
        font-size: 0.9rem;
      }
      dt {
        color: var(--ink-soft);
      }
      dd {
        overflow-wrap: anywhere;
      }
      .waiting {
        display: flex;
        align-items: center;
        gap: 10px;
      }
      .waiting i {
        flex: none;
        width: 8px;
        height: 8px;
        border-radius: 50%;
        background: var(--warn);
        animation: pulse 1.6s infinite ease-in-out;
      }
      @keyframes pulse {
        50% {
          opacity: 0.25;
        }
      }
    `,
  ];

  render() {
    const {refusal} = this.stores.gateway.state.connection;
    const requestId = refusal?.requestId ?? '';
    return html`<div class="card">
      <div class="glyph">${devicesIcon}</div>
      <h1>Waiting for approval</h1>
      <p>${REASONS[refusal?.reason ?? ''] ?? REASONS['not-paired']}</p>
      <dl>
        <dt>Request</dt>
        <dd class="mono" id="request">${requestId}</dd>
        <dt>Device</dt>
        <dd class="mono" title=${this.stores.connection.device.id}>${this.stores.connection.device.id.slice(0, 16)}…</dd>
      </dl>
      <p class="soft small">Approve it in a browser that has access, on its Devices page, or on the machine that runs the gateway:</p>
      <ol>
        <li><oc-copy text="openclaw devices list" label="Copy the list command"></oc-copy></li>
        <li><oc-copy text="openclaw devices approve ${requestId}" label="Copy the approve command"></oc-copy></li>
      </ol>
      <p class="waiting soft small" role="status"><i></i> The page goes on by itself as soon as the request is approved.</p>
      <div class="row">
        <button @click=${() => this.stores.connection.retryNow()}>Ask now</button>
        <button class="bare" @click=${() => this.dispatchEvent(new CustomEvent('sign-out', {bubbles: true, composed: true}))}>
          Use another token
        </button>
      </div>
    </div>`;
  }
}

customElements.define('oc-pairing', PairingView);
