/** `<oc-devices>`: who asks to be let in, and who is in. */

import './confirm-dialog.js';
import './copy-text.js';
import {deviceName} from './devices-store.js';
import {ago, dateTime, scopeName} from './format.js';
import {refreshIcon} from './icons.js';
import {common, page} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {View} from './view.js';

export class DevicesView extends View {
  static watches = /** @type {const} */ (['devices', 'gateway']);

  static styles = [
    common,
    page,
    css`
      ul {
        display: grid;
        gap: 12px;
        list-style: none;
      }
      .device {
        display: grid;
        gap: 12px;
      }
      .device.asks {
        border-color: color-mix(in oklab, var(--warn) 45%, var(--line));
      }
      .top {
        display: flex;
        flex-wrap: wrap;
        align-items: flex-start;
        justify-content: space-between;
        gap: 12px;
      }
      .name {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 4px 8px;
      }
      dl {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr));
        gap: 10px 20px;
        font-size: 0.9rem;
      }
      dt {
        color: var(--ink-soft);
        font-size: 0.8rem;
      }
      dd {
        overflow-wrap: anywhere;
      }
      dl > .wide {
        grid-column: span 2;
      }
      @media (max-width: 640px) {
        dl {
          grid-template-columns: 1fr 1fr;
        }
        .top > .row {
          width: 100%;
        }
        .top > .row button {
          flex: 1 1 auto;
        }
      }
      .issued {
        display: grid;
        gap: 10px;
      }
    `,
  ];

  render() {
    const {pending, paired, error, said, issued} = this.stores.devices.state;
    return html`<div class="page">
        <header>
          <h1 tabindex="-1">Devices</h1>
          <button @click=${() => this.stores.devices.reload()} ?disabled=${!this.stores.gateway.ready}>${refreshIcon} Refresh</button>
        </header>
        ${error ? html`<p class="note bad" role="alert">${error}</p>` : nothing} ${issued ? this.#issued(issued) : nothing}
        <section aria-labelledby="pending">
          <h2 id="pending">Waiting for approval</h2>
          ${this.#list(pending, (request) => this.#pending(request), 'No device is waiting.')}
        </section>
        <section aria-labelledby="paired">
          <h2 id="paired">Paired</h2>
          ${this.#list(paired, (device) => this.#paired(device), 'No device is paired yet.')}
        </section>
      </div>
      <div class="unseen" aria-live="polite">${said}</div>
      <oc-confirm></oc-confirm>`;
  }

  /**
   * @param {any[] | null} entries
   * @param {(entry: any) => unknown} draw
   * @param {string} empty
   */
  #list(entries, draw, empty) {
    if (!entries) return html`<p class="soft" role="status">Reading the devices…</p>`;
    if (!entries.length) return html`<p class="card soft">${empty}</p>`;
    return html`<ul>
      ${repeat(entries, (entry) => entry.requestId ?? entry.deviceId, draw)}
    </ul>`;
  }

  /** @param {any} request */
  #pending(request) {
    const {devices} = this.stores;
    const busy = devices.state.busy.has(request.requestId) || !this.stores.gateway.ready;
    return html`<li class="card device asks">
      <div class="top">
        <div>
          <h3 class="name">${deviceName(request)} ${request.isRepair ? html`<span class="tag warn">known device</span>` : nothing}</h3>
          <p class="soft small">asked ${ago(request.ts)}</p>
        </div>
        <div class="row">
          <button class="risk" ?disabled=${busy} @click=${() => devices.reject(request)}>Reject</button>
          <button class="main" ?disabled=${busy} @click=${() => devices.approve(request)}>Approve</button>
        </div>
      </div>
      <dl>
        ${fact('Request', html`<code>${request.requestId}</code>`, 'wide')} ${fact('From', request.remoteIp ?? 'this machine or a tunnel')}
        ${fact('Platform', request.platform)} ${fact('Role', (request.roles ?? [request.role]).filter(Boolean).join(', '))}
        ${fact('Rights', rights(request.scopes))} ${fact('Device', short(request.deviceId))}
      </dl>
    </li>`;
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
            ${deviceName(device)} ${own ? html`<span class="tag good">this browser</span>` : nothing}
            ${revoked ? html`<span class="tag bad">token revoked</span>` : nothing}
          </h3>
          <p class="soft small">last seen ${ago(seen)}</p>
        </div>
        <div class="row">
          ${tokens.map((/** @type {any} */ token) => this.#tokenButtons(device, token, own, tokens.length > 1))}
          <button
            class="risk"
            aria-label="Remove ${deviceName(device)}"
            ?disabled=${this.#busy(device)}
            @click=${() => this.#remove(device, own)}
          >
            Remove
          </button>
        </div>
      </div>
      <dl>
        ${fact('Role', (device.roles ?? [device.role]).filter(Boolean).join(', '))} ${fact('Rights', rights(device.scopes))}
        ${fact('Platform', device.platform)} ${fact('From', device.remoteIp)}
        ${fact('Approved', device.approvedAtMs ? html`<span title=${dateTime(device.approvedAtMs)}>${ago(device.approvedAtMs)}</span>` : '')}
        ${fact('Device', short(device.deviceId))}
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
    const name = deviceName(device);
    return html`
      <button aria-label="Replace the token of ${name}${of}" ?disabled=${this.#busy(device)} @click=${() => this.#rotate(device, token, own)}>
        Replace token${of}
      </button>
      ${token.revokedAtMs
        ? nothing
        : html`<button
            class="risk"
            aria-label="Revoke the token of ${name}${of}"
            ?disabled=${this.#busy(device)}
            @click=${() => this.#revoke(device, token, own)}
          >
            Revoke${of}
          </button>`}
    `;
  }

  /** @param {{name: string, token: string}} issued */
  #issued({name, token}) {
    return html`<div class="card issued" role="alert">
      <h2>New token of ${name}</h2>
      <p>Give it to that device now: it is not shown again, and the one before no longer works.</p>
      <oc-copy text=${token} label="Copy the token"></oc-copy>
      <div class="row"><button @click=${() => this.stores.devices.forgetIssued()}>Done</button></div>
    </div>`;
  }

  /** @param {any} device */
  #busy(device) {
    return this.stores.devices.state.busy.has(device.deviceId) || !this.stores.gateway.ready;
  }

  /** @param {import('./confirm-dialog.js').Question} question */
  #sure(question) {
    const dialog = /** @type {import('./confirm-dialog.js').ConfirmDialog} */ (this.renderRoot.querySelector('oc-confirm'));
    return dialog.ask(question);
  }

  /**
   * @param {any} device
   * @param {any} token
   * @param {boolean} own
   */
  async #rotate(device, token, own) {
    const text = own
      ? 'This browser takes over its new token at once.'
      : 'The token it has stops working at once. The new one is shown here, once.';
    if (await this.#sure({title: `Replace the token of ${deviceName(device)}?`, text, action: 'Replace'})) {
      await this.stores.devices.rotate(device, token.role);
    }
  }

  /**
   * @param {any} device
   * @param {any} token
   * @param {boolean} own
   */
  async #revoke(device, token, own) {
    const text = `${own ? 'This is the browser you are using. ' : ''}It can do nothing more until it connects with the gateway token.`;
    if (await this.#sure({title: `Revoke the token of ${deviceName(device)}?`, text, action: 'Revoke'})) {
      await this.stores.devices.revoke(device, token.role);
    }
  }

  /**
   * @param {any} device
   * @param {boolean} own
   */
  async #remove(device, own) {
    const text = `${own ? 'This is the browser you are using. ' : ''}To come back, it has to be approved again.`;
    if (await this.#sure({title: `Remove ${deviceName(device)}?`, text, action: 'Remove'})) {
      await this.stores.devices.remove(device);
    }
  }
}

/**
 * @param {string} name
 * @param {unknown} value left out when there is none
 * @param {string} [kind] `wide` takes two columns
 */
const fact = (name, value, kind = '') =>
  value
    ? html`<div class=${kind}>
        <dt>${name}</dt>
        <dd>${value}</dd>
      </div>`
    : nothing;

/** @param {string[]} [scopes] */
const rights = (scopes = []) => scopes.map(scopeName).join(', ') || 'none';

/** @param {string} id */
const short = (id) => html`<code title=${id}>${id.slice(0, 12)}…</code>`;

customElements.define('oc-devices', DevicesView);
