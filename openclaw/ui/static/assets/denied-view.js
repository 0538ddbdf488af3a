/** `<oc-denied>`: the gateway, or the browser itself, said no; what that means and what helps. */

import './copy-text.js';
import {known, rich, t} from './i18n.js';
import {deniedIcon, lockIcon} from './icons.js';
import {centred, common} from './styles.js';
import {html, nothing} from './vendor/lit.js';
import {View} from './view.js';

/** @type {Record<string, string>} by refusal code: the first part of its texts */
const BY_CODE = {PAIRING_REJECTED: 'rejected', DEVICE_AUTH_INVALID: 'proof'};

/** @type {Record<string, string>} by refusal kind */
const BY_KIND = {insecure: 'insecure', unsupported: 'old', storage: 'storage', limited: 'limited', denied: 'refused'};

/** Asking again cannot help against what the browser itself lacks. */
const FINAL = ['insecure', 'old', 'storage'];

export class DeniedView extends View {
  static watches = /** @type {const} */ (['gateway']);
  static properties = {kind: {}};
  static styles = [common, centred];

  constructor() {
    super();
    /** @type {string} a reason of the browser's own; empty when the gateway refused */
    this.kind = '';
  }

  render() {
    const refusal = this.kind ? null : this.stores?.gateway.state.connection.refusal;
    if (refusal?.kind === 'origin') return this.#origin();
    const words = BY_CODE[refusal?.code ?? ''] ?? BY_KIND[this.kind || refusal?.kind || ''] ?? BY_KIND.denied;
    const text = `connect.${words}Text`;
    const again = words === 'rejected' ? t('connect.askAgain') : FINAL.includes(words) ? '' : t('app.tryAgain');
    return html`<div class="card" role="alert">
      <div class="glyph">${this.kind === 'insecure' || refusal?.kind === 'insecure' ? lockIcon : deniedIcon}</div>
      <h1>${t(`connect.${words}Title`)}</h1>
      ${known(text) ? html`<p>${t(text)}</p>` : nothing}
      ${refusal?.message && refusal.code !== 'PAIRING_REJECTED' ? html`<p class="note">${refusal.message}</p>` : nothing}
      ${again && this.stores ? this.#buttons(again) : nothing}
    </div>`;
  }

  #origin() {
    return html`<div class="card" role="alert">
      <div class="glyph">${deniedIcon}</div>
      <h1>${t('connect.originTitle')}</h1>
      <p>${rich('connect.originText', {key: html`<code>gateway.controlUi.allowedOrigins</code>`})}</p>
      <oc-copy text=${location.origin} label=${t('connect.copyAddress')}></oc-copy>
      ${this.#buttons(t('app.tryAgain'))}
    </div>`;
  }

  /** @param {string} again */
  #buttons(again) {
    return html`<div class="row">
      <button class="main" @click=${() => this.stores.connection.start()}>${again}</button>
      <button class="bare" @click=${() => this.dispatchEvent(new CustomEvent('sign-out', {bubbles: true, composed: true}))}>
        ${t('connect.otherToken')}
      </button>
    </div>`;
  }
}

customElements.define('oc-denied', DeniedView);
