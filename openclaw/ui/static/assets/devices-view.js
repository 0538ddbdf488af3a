/** `<oc-devices>`: who asks to be let in, and who is in. */

import './confirm-dialog.js';
import './copy-text.js';
import './device-request.js';
import {fact, rights, shortId} from './device-request.js';
import {deviceName} from './devices-store.js';
import {ago, dateTime} from './format.js';
import {t} from './i18n.js';
import {pageHead, refreshButton} from './page-parts.js';
import {outcome, whenReady} from './page-state.js';
import {parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {View} from './view.js';

export class DevicesView extends View {
  static watches = /** @type {const} */ (['devices', 'gateway']);

  static styles = [
    common,
    page,
    parts,
    css`
      .device,
      .issued {
        display: grid;
        gap: 12px;
      }
    `,
  ];

  render() {
    const {devices} = this.stores;
    const {issued} = devices.state;
    return html`<div class="page">
        ${pageHead(t('app.devices'), {actions: refreshButton(() => devices.reload(), this.stores.gateway.canAsk)})}
        ${outcome(devices)} ${issued ? this.#issued(issued) : nothing} ${whenReady(devices, () => this.#lists())}
      </div>
      <oc-confirm></oc-confirm>`;
  }

  #lists() {
    const {pending, paired} = this.stores.devices.state;
    return html`<section aria-labelledby="pending">
        <h2 id="pending">${t('devices.pending')}</h2>
        ${pending.length
          ? html`<ul class="cards">
              ${repeat(
                pending,
                (request) => request.requestId,
                (request) => html`<li><oc-device-request .stores=${this.stores} .request=${request}></oc-device-request></li>`,
              )}
            </ul>`
          : html`<p class="card soft">${t('devices.noPending')}</p>`}
      </section>
      <section aria-labelledby="paired">
        <h2 id="paired">${t('devices.paired')}</h2>
        ${paired.length
          ? html`<ul class="cards">${repeat(paired, (device) => device.deviceId, (device) => this.#paired(device))}</ul>`
          : html`<p class="card soft">${t('devices.noPaired')}</p>`}
      </section>`;
  }

  /** @param {any} device */
  #paired(device) {
    const {devices} = this.stores;
    const own = device.deviceId === devices.ownId;
    const tokens = device.tokens ?? [];
    const seen = Math.max(0, ...tokens.map((/** @type {any} */ token) => token.lastUsedAtMs ?? 0));
    const revoked = tokens.length > 0 && tokens.every((/** @type {any} */ token) => token.revokedAtMs);
    return html`<li class="card device">
      <div class="top">
        <div>
          <h3 class="name">
            ${deviceName(device)} ${own ? html`<span class="tag good">${t('devices.own')}</span>` : nothing}
            ${revoked ? html`<span class="tag bad">${t('devices.revoked')}</span>` : nothing}
          </h3>
          <p class="soft small">${t('devices.seen', {when: ago(seen)})}</p>
        </div>
        <div class="row">
          ${tokens.map((/** @type {any} */ token) => this.#tokenButtons(device, token, own, tokens.length > 1))}
          <button
            class="risk"
            aria-label=${t('devices.removeOf', {name: deviceName(device)})}
            ?disabled=${this.#busy(device)}
            @click=${() => this.#remove(device, own)}
          >
            ${t('app.remove')}
          </button>
        </div>
      </div>
      <dl class="facts">
        ${fact(t('devices.role'), (device.roles ?? [device.role]).filter(Boolean).join(', '))}
        ${fact(t('devices.rights'), rights(device.scopes))} ${fact(t('devices.platform'), device.platform)}
        ${fact(t('devices.address'), device.remoteIp)}
        ${fact(t('devices.approved'), device.approvedAtMs ? html`<span title=${dateTime(device.approvedAtMs)}>${ago(device.approvedAtMs)}</span>` : '')}
        ${fact(t('devices.device'), shortId(device.deviceId))}
      </dl>
    </li>`;
  }

  /**
   * @param {any} device
   * @param {any} token
   * @param {boolean} own
   * @param {boolean} several more than one role, so that the buttons have to name theirs
   */
  #tokenButtons(device, token, own, several) {
    const of = several ? ` (${token.role})` : '';
    const name = `${deviceName(device)}${of}`;
    const busy = this.#busy(device);
    return html`
      <button aria-label=${t('devices.replaceOf', {name})} ?disabled=${busy} @click=${() => this.#rotate(device, token, own)}>
        ${t('devices.replace')}${of}
      </button>
      ${token.revokedAtMs
        ? nothing
        : html`<button class="risk" aria-label=${t('devices.revokeOf', {name})} ?disabled=${busy} @click=${() => this.#revoke(device, token, own)}>
            ${t('devices.revoke')}${of}
          </button>`}
    `;
  }

  /** @param {{name: string, token: string}} issued */
  #issued({name, token}) {
    return html`<div class="card issued" role="alert">
      <h2>${t('devices.issued', {name})}</h2>
      <p>${t('devices.issuedText')}</p>
      <oc-copy text=${token} label=${t('devices.copyToken')}></oc-copy>
      <div class="row"><button @click=${() => this.stores.devices.forgetIssued()}>${t('devices.done')}</button></div>
    </div>`;
  }

  /** @param {any} device */
  #busy(device) {
    return this.stores.devices.state.busy.has(device.deviceId) || !this.stores.gateway.canAsk;
  }

  /**
   * @param {any} device
   * @param {any} token
   * @param {boolean} own
   */
  async #rotate(device, token, own) {
    const title = t('devices.sureReplace', {name: deviceName(device)});
    const text = own ? t('devices.replaceOwn') : t('devices.replaceOther');
    if (await this.sure({title, text, action: t('devices.doReplace')})) await this.stores.devices.rotate(device, token.role);
  }

  /**
   * @param {any} device
   * @param {any} token
   * @param {boolean} own
   */
  async #revoke(device, token, own) {
    const title = t('devices.sureRevoke', {name: deviceName(device)});
    const text = own ? `${t('devices.ownWarning')} ${t('devices.revokeText')}` : t('devices.revokeText');
    if (await this.sure({title, text, action: t('devices.revoke')})) await this.stores.devices.revoke(device, token.role);
  }

  /**
   * @param {any} device
   * @param {boolean} own
   */
  async #remove(device, own) {
    const title = t('devices.sureRemove', {name: deviceName(device)});
    const text = own ? `${t('devices.ownWarning')} ${t('devices.removeText')}` : t('devices.removeText');
    if (await this.sure({title, text, action: t('app.remove')})) await this.stores.devices.remove(device);
  }
}

customElements.define('oc-devices', DevicesView);
