/** `<oc-device-request>`: a device that asks to be let in, with the decision. */

import {deviceName} from './devices-store.js';
import {ago, scopeName} from './format.js';
import {t} from './i18n.js';
import {parts} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {Decision} from './view.js';

export class DeviceRequest extends Decision {
  static watches = /** @type {const} */ (['devices', 'gateway']);
  static properties = {request: {attribute: false}};

  static styles = [
    common,
    parts,
    css`
      .card {
        display: grid;
        gap: 12px;
        border-color: color-mix(in oklab, var(--warn) 45%, var(--line));
      }
    `,
  ];

  constructor() {
    super();
    /** @type {any} */
    this.request = null;
  }

  render() {
    const {request} = this;
    const {devices} = this.stores;
    const busy = devices.state.busy.has(request.requestId) || !this.stores.gateway.canAsk || !this.armed;
    return html`<div class="card">
      <div class="top">
        <div>
          <h3 class="name">${deviceName(request)} ${request.isRepair ? html`<span class="tag warn">${t('devices.known')}</span>` : nothing}</h3>
          <p class="soft small">${t('devices.asked', {when: ago(request.ts)})}</p>
        </div>
        <div class="row">
          <button class="risk" ?disabled=${busy} @click=${() => devices.reject(request)}>${t('devices.reject')}</button>
          <button class="main" ?disabled=${busy} @click=${() => devices.approve(request)}>${t('devices.approve')}</button>
        </div>
      </div>
      <dl class="facts">
        ${fact(t('devices.request'), html`<code>${request.requestId}</code>`, 'wide')}
        ${fact(t('devices.address'), request.remoteIp ?? t('devices.local'))} ${fact(t('devices.platform'), request.platform)}
        ${fact(t('devices.role'), (request.roles ?? [request.role]).filter(Boolean).join(', '))}
        ${fact(t('devices.rights'), rights(request.scopes))} ${fact(t('devices.device'), shortId(request.deviceId))}
      </dl>
    </div>`;
  }
}

/**
 * @param {string} name
 * @param {unknown} value left out when there is none
 * @param {string} [kind] `wide` takes two columns
 */
export const fact = (name, value, kind = '') =>
  value
    ? html`<div class=${kind}>
        <dt>${name}</dt>
        <dd>${value}</dd>
      </div>`
    : nothing;

/** @param {string[]} [scopes] */
export const rights = (scopes = []) => scopes.map(scopeName).join(', ') || t('app.none');

/** @param {string} id */
export const shortId = (id) => html`<code title=${id}>${String(id).slice(0, 12)}…</code>`;

customElements.define('oc-device-request', DeviceRequest);
