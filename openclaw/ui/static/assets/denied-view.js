/** `<oc-denied>`: the gateway, or the browser itself, said no; what that means and what helps. */

import './copy-text.js';
import {deniedIcon, lockIcon} from './icons.js';
import {centred, common} from './styles.js';
import {html, nothing} from './vendor/lit.js';
import {View} from './view.js';

/**
 * @typedef {object} Words
 * @property {string} title
 * @property {string} text
 * @property {string} [again] the word on the button that asks again; none when asking again cannot help
 */

/** @type {Record<string, Words>} by refusal code */
const BY_CODE = {
  PAIRING_REJECTED: {
    title: 'The request was rejected',
    text: 'Somebody decided that this browser may not connect. Ask again only if that was a mistake.',
    again: 'Ask again',
  },
  DEVICE_AUTH_INVALID: {
    title: 'The proof of this device was not accepted',
    text: 'The signature of this browser did not fit. Loading the page again usually helps.',
    again: 'Try again',
  },
};

/** @type {Record<string, Words>} by refusal kind */
const BY_KIND = {
  insecure: {
    title: 'A secure connection is needed',
    text: 'This browser only proves who it is on HTTPS or on localhost. Open the page through one of these.',
  },
  unsupported: {
    title: 'This browser is too old',
    text: 'It cannot make an Ed25519 key. Chrome 137, Firefox 129, Safari 17 and anything newer can.',
  },
  storage: {
    title: 'This browser keeps no key',
    text: 'The key of this device is kept in the browser’s storage, which is switched off or full here. A private window may be the reason.',
  },
  limited: {
    title: 'Too many failed attempts',
    text: 'The gateway does not listen to browsers for a few minutes. Wait five minutes, check the token, then try again.',
    again: 'Try again',
  },
  denied: {title: 'The gateway refused this page', text: '', again: 'Try again'},
};

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
    return html`<div class="card" role="alert">
      <div class="glyph">${this.kind === 'insecure' || refusal?.kind === 'insecure' ? lockIcon : deniedIcon}</div>
      <h1>${words.title}</h1>
      ${words.text ? html`<p>${words.text}</p>` : nothing}
      ${refusal?.message && refusal.code !== 'PAIRING_REJECTED' ? html`<p class="note">${refusal.message}</p>` : nothing}
      ${words.again && this.stores ? this.#buttons(words.again) : nothing}
    </div>`;
  }

  #origin() {
    return html`<div class="card" role="alert">
      <div class="glyph">${deniedIcon}</div>
      <h1>This address is not allowed</h1>
      <p>
        The gateway serves the page here, but takes connections only from addresses it was told about. Add this one to
        <code>allowed_origins</code> in the <code>[control_ui]</code> table of the gateway’s <code>openclaw.toml</code>:
      </p>
      <oc-copy text=${location.origin} label="Copy the address"></oc-copy>
      ${this.#buttons('Try again')}
    </div>`;
  }

  /** @param {string} again */
  #buttons(again) {
    return html`<div class="row">
      <button class="main" @click=${() => this.stores.connection.start()}>${again}</button>
      <button class="bare" @click=${() => this.dispatchEvent(new CustomEvent('sign-out', {bubbles: true, composed: true}))}>
        Use another token
      </button>
    </div>`;
  }
}

customElements.define('oc-denied', DeniedView);
