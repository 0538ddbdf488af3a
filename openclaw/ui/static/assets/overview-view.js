/** `<oc-overview>`: whether the gateway, its channels and its model are well, and who is connected. */

import {ago, span} from './format.js';
import {refreshIcon} from './icons.js';
import {address} from './route.js';
import {sessionName} from './sessions-store.js';
import {common, page} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {View} from './view.js';

export class OverviewView extends View {
  static watches = /** @type {const} */ (['gateway', 'sessions']);

  static styles = [
    common,
    page,
    css`
      .tiles {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr));
        gap: 12px;
      }
      .tile {
        display: grid;
        gap: 2px;
        padding: 14px 16px;
      }
      .tile b {
        font-size: 1.1rem;
        font-weight: 620;
        letter-spacing: -0.01em;
        overflow-wrap: anywhere;
      }
      .columns {
        display: grid;
        grid-template-columns: 1fr 1fr;
        align-items: start;
        gap: 24px;
      }
      @media (max-width: 800px) {
        .columns {
          grid-template-columns: 1fr;
        }
      }
      ul.card {
        padding: 4px 20px;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 4px 12px;
        padding: 12px 0;
      }
      li + li {
        border-top: 1px solid var(--line);
      }
      li > div {
        min-width: 0;
        overflow-wrap: anywhere;
      }
      a {
        color: inherit;
        text-decoration: none;
      }
      a:hover {
        text-decoration: underline;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.updateComplete.then(() => this.stores.gateway.refresh());
  }

  render() {
    const {gateway} = this.stores;
    const {hello, helloAt, health, refreshing, error} = gateway.state;
    const upMs = hello?.snapshot?.uptimeMs;
    const checked = health?.ts ? `checked ${ago(health.ts)}` : 'not checked yet';
    return html`<div class="page">
      <header>
        <div>
          <h1 tabindex="-1">Overview</h1>
          <p class="soft small" role="status">${refreshing ? 'Checking…' : checked}</p>
        </div>
        <button @click=${() => gateway.refresh()} ?disabled=${refreshing || !gateway.ready}>${refreshIcon} Refresh</button>
      </header>
      ${error ? html`<p class="note bad" role="alert">${error}</p>` : nothing}
      <div class="tiles">
        ${tile('Gateway', gateway.ready ? (health?.ok === false ? 'not well' : 'running') : 'not connected')}
        ${tile('Up for', gateway.ready && upMs !== undefined ? span(upMs + Date.now() - helloAt) : '')}
        ${tile('Version', hello?.server?.version)} ${tile('Sessions', health?.sessions?.count ?? this.stores.sessions.state.sessions.length)}
      </div>
      <section aria-labelledby="channels">
        <h2 id="channels">Channels</h2>
        ${this.#channels()}
      </section>
      <div class="columns">
        <section aria-labelledby="presence">
          <h2 id="presence">Connected</h2>
          ${this.#presence()}
        </section>
        <section aria-labelledby="sessions">
          <h2 id="sessions">Recent sessions</h2>
          ${this.#sessions()}
        </section>
      </div>
    </div>`;
  }

  #channels() {
    const {channels, refreshing} = this.stores.gateway.state;
    if (!channels) return html`<p class="card soft">${refreshing ? 'Reading the channels…' : 'Not known yet.'}</p>`;
    const ids = channels.channelOrder ?? Object.keys(channels.channelAccounts ?? {});
    const rows = ids.flatMap((/** @type {string} */ id) => {
      const accounts = channels.channelAccounts?.[id] ?? [channels.channels?.[id] ?? {}];
      return accounts.map((/** @type {any} */ account) => ({label: channels.channelLabels?.[id] ?? id, account, several: accounts.length > 1}));
    });
    if (!rows.length) return html`<p class="card soft">No channel is configured.</p>`;
    return html`<ul class="card">
      ${rows.map(
        (/** @type {any} */ {label, account, several}) => html`<li>
          <div>
            <h3>${label}${several ? html` <span class="soft">${account.name ?? account.accountId}</span>` : nothing}</h3>
            <p class="soft small">
              ${account.lastInboundAt ? `last message ${ago(account.lastInboundAt)}` : 'no message yet'}
              ${account.lastOutboundAt ? html` · last answer ${ago(account.lastOutboundAt)}` : nothing}
            </p>
            ${account.lastError ? html`<p class="small">${account.lastError}</p>` : nothing}
          </div>
          ${channelTag(account)}
        </li>`,
      )}
    </ul>`;
  }

  #presence() {
    const entries = this.stores.gateway.state.presence;
    if (!entries.length) return html`<p class="card soft">Nobody.</p>`;
    return html`<ul class="card">
      ${entries.map(
        (entry) => html`<li>
          <div>
            <h3>${entry.displayName ?? entry.host ?? entry.mode ?? 'somebody'}</h3>
            <p class="soft small">${[entry.platform, entry.ip].filter(Boolean).join(' · ')}</p>
          </div>
          <span class="tag">${entry.mode === 'webchat' ? 'browser' : (entry.mode ?? 'client')}</span>
        </li>`,
      )}
    </ul>`;
  }

  #sessions() {
    const {sessions, mainKey} = this.stores.sessions.state;
    if (!sessions.length) return html`<p class="card soft">No conversation yet.</p>`;
    return html`<ul class="card">
      ${sessions.slice(0, 6).map(
        (session) => html`<li>
          <div>
            <h3><a href=${address('chat', session.key)}>${sessionName(session, mainKey)}</a></h3>
            <p class="soft small">${session.model ?? ''}</p>
          </div>
          <span class="soft small">${ago(session.updatedAt)}</span>
        </li>`,
      )}
    </ul>`;
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
const tile = (name, value) => html`<div class="card tile"><span class="soft small">${name}</span><b>${value || '–'}</b></div>`;

/** @param {any} account */
function channelTag(account) {
  if (account.configured === false || account.enabled === false) return html`<span class="tag">off</span>`;
  if (account.connected ?? account.running) return html`<span class="tag good">online</span>`;
  if (account.running) return html`<span class="tag warn">connecting</span>`;
  return html`<span class="tag bad">stopped</span>`;
}

customElements.define('oc-overview', OverviewView);
