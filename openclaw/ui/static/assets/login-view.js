/** `<oc-login>`: asks for the gateway token, and says why the last one did not do. */

import './copy-text.js';
import {t} from './i18n.js';
import {keyIcon} from './icons.js';
import {centred, common} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {View} from './view.js';

/** @type {Record<string, string>} */
const REASONS = {
  AUTH_TOKEN_MISMATCH: 'connect.unknownToken',
  AUTH_DEVICE_TOKEN_MISMATCH: 'connect.withdrawn',
};

export class LoginView extends View {
  static watches = /** @type {const} */ (['gateway']);
  static properties = {shown: {state: true}};

  static styles = [
    common,
    centred,
    css`
      form {
        display: grid;
        gap: 8px;
      }
      label {
        font-size: 0.9rem;
        font-weight: 600;
      }
      .field {
        display: grid;
        grid-template-columns: 1fr auto;
        gap: 8px;
      }
      input {
        width: 100%;
        min-height: 40px;
        padding: 0 12px;
        border: 1px solid var(--line-strong);
        border-radius: 8px;
        background: var(--raised);
        color: var(--ink);
        font: 16px/1.4 var(--mono);
      }
      input::placeholder {
        font-family: var(--sans);
      }
      .field button {
        min-height: 40px;
      }
      form > .main {
        min-height: 42px;
        margin-top: 8px;
      }
    `,
  ];

  constructor() {
    super();
    this.shown = false;
  }

  render() {
    const {refusal} = this.stores.gateway.state.connection;
    const key = REASONS[refusal?.code ?? ''];
    const reason = key ? t(key) : refusal?.message;
    return html`<div class="card">
      <div class="glyph">${keyIcon}</div>
      <h1>${t('connect.signIn')}</h1>
      ${reason ? html`<p class="note bad" role="alert">${reason}</p>` : nothing}
      <form @submit=${this.#submit}>
        <!-- A password keeper wants a name to file the token under. -->
        <input type="text" name="username" autocomplete="username" value="openclaw gateway" hidden readonly />
        <label for="token">${t('connect.token')}</label>
        <div class="field">
          <input
            id="token"
            name="token"
            type=${this.shown ? 'text' : 'password'}
            autocomplete="current-password"
            autocapitalize="off"
            spellcheck="false"
            required
          />
          <button type="button" aria-pressed=${String(this.shown)} @click=${() => (this.shown = !this.shown)}>
            ${this.shown ? t('connect.hide') : t('connect.show')}
          </button>
        </div>
        <button class="main">${t('connect.connect')}</button>
      </form>
      <p class="soft small">${t('connect.dashboard')}</p>
      <oc-copy text="openclaw dashboard" label=${t('connect.copyCommand')}></oc-copy>
    </div>`;
  }

  firstUpdated() {
    this.#field.focus();
  }

  get #field() {
    return /** @type {HTMLInputElement} */ (this.renderRoot.querySelector('#token'));
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    const token = this.#field.value.trim();
    if (!token) return;
    const {connection} = this.stores;
    connection.credentials.keepGatewayToken(token);
    connection.start();
  }
}

customElements.define('oc-login', LoginView);
