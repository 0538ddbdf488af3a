/** `<oc-pairing>`: this browser waits until somebody approves it; it goes on by itself then. */

import './copy-text.js';
import {known, t} from './i18n.js';
import {devicesIcon} from './icons.js';
import {centred, common} from './styles.js';
import {css, html} from './vendor/lit.js';
import {View} from './view.js';

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
    const reason = `connect.${refusal?.reason ?? ''}`;
    return html`<div class="card">
      <div class="glyph">${devicesIcon}</div>
      <h1>${t('connect.waitTitle')}</h1>
      <p>${t(known(reason) ? reason : 'connect.not-paired')}</p>
      <dl>
        <dt>${t('connect.request')}</dt>
        <dd class="mono" id="request">${requestId}</dd>
        <dt>${t('connect.device')}</dt>
        <dd class="mono" title=${this.stores.connection.device.id}>${this.stores.connection.device.id.slice(0, 16)}…</dd>
      </dl>
      <p class="soft small">${t('connect.howToApprove')}</p>
      <ol>
        <li><oc-copy text="openclaw devices list" label=${t('connect.copyList')}></oc-copy></li>
        <li><oc-copy text="openclaw devices approve ${requestId}" label=${t('connect.copyApprove')}></oc-copy></li>
      </ol>
      <p class="waiting soft small" role="status"><i></i> ${t('connect.goesOn')}</p>
      <div class="row">
        <button @click=${() => this.stores.connection.retryNow()}>${t('connect.askNow')}</button>
        <button class="bare" @click=${() => this.dispatchEvent(new CustomEvent('sign-out', {bubbles: true, composed: true}))}>
          ${t('connect.otherToken')}
        </button>
      </div>
    </div>`;
  }
}

customElements.define('oc-pairing', PairingView);
