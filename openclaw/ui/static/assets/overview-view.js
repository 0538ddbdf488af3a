/** `<oc-overview>`: first what waits for a person, each with its action in place, then how everything is. */

import './approval-card.js';
import './confirm-dialog.js';
import './copy-text.js';
import './device-request.js';
import './post-card.js';
import {carryOut} from './approval-card.js';
import {ago, span} from './format.js';
import {t} from './i18n.js';
import {calmIcon} from './icons.js';
import {pageHead, refreshButton} from './page-parts.js';
import {outcome, stateCard} from './page-state.js';
import {address} from './route.js';
import {parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {Page} from './view.js';
import {SOURCES, whatWaits} from './waiting.js';

export class OverviewView extends Page {
  static watches = /** @type {const} */ (['gateway', 'sessions', ...SOURCES]);
  static reads = /** @type {any} */ (['gateway']);

  static styles = [
    common,
    page,
    parts,
    css`
      .tiles {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr));
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
        grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
        align-items: start;
        gap: 24px;
      }
      .asks {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 12px;
        border-color: color-mix(in oklab, var(--warn) 45%, var(--line));
      }
      .quiet svg {
        color: var(--good);
      }
      li > a,
      h3 a {
        color: inherit;
        text-decoration: none;
      }
      h3 a:hover {
        text-decoration: underline;
      }
      a.button {
        display: inline-flex;
        align-items: center;
        min-height: 36px;
        padding: 0 14px;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--raised);
        color: var(--ink);
        font-size: 0.9rem;
        font-weight: 550;
        text-decoration: none;
      }
    `,
  ];

  render() {
    const {gateway} = this.stores;
    const {hello, helloAt, health, reading, trouble} = gateway.state;
    const upMs = hello?.snapshot?.uptimeMs;
    const checked = health?.ts ? t('overview.checked', {when: ago(health.ts)}) : t('overview.notChecked');
    return html`<div class="page">
        ${pageHead(t('app.overview'), {
          below: html`<p class="soft small" role="status">${reading ? t('overview.checking') : checked}</p>`,
          actions: refreshButton(() => this.#refresh(), !reading && gateway.canAsk),
        })}
        ${trouble ? html`<p class="note bad" role="alert">${trouble.message}</p>` : nothing}
        ${outcome(this.stores.approvals)} ${outcome(this.stores.posts)} ${outcome(this.stores.devices)} ${outcome(this.stores.cron)}
        <section aria-labelledby="waiting">
          <h2 id="waiting">${t('overview.waiting')}</h2>
          ${this.#waiting()}
        </section>
        <div class="tiles">
          ${tile(t('overview.gateway'), gateway.canAsk ? (health?.ok === false ? t('overview.notWell') : t('overview.running')) : t('app.notConnected'))}
          ${tile(t('overview.upFor'), gateway.canAsk && upMs !== undefined ? span(upMs + Date.now() - helloAt) : '')}
          ${tile(t('overview.version'), hello?.server?.version)}
          ${tile(t('app.sessions'), health?.sessions?.count ?? this.stores.sessions.state.sessions.length)}
        </div>
        <div class="columns">
          <section aria-labelledby="sessions">
            <h2 id="sessions">${t('overview.recent')}</h2>
            ${this.#sessions()}
          </section>
          <section aria-labelledby="presence">
            <h2 id="presence">${t('overview.who')}</h2>
            ${this.#presence()}
          </section>
        </div>
      </div>
      <oc-confirm></oc-confirm>`;
  }

  #refresh() {
    for (const name of /** @type {const} */ (['gateway', 'sessions', ...SOURCES])) this.stores[name].reload();
  }

  #waiting() {
    const items = whatWaits(this.stores);
    if (!items.length) {
      return html`<div class="quiet">${stateCard(calmIcon, t('overview.calmTitle'), t('overview.calmText'))}</div>`;
    }
    return html`<ul class="cards">
      ${repeat(
        items,
        ({key}) => key,
        (item) => html`<li>${this.#item(item)}</li>`,
      )}
    </ul>`;
  }

  /** @param {import('./waiting.js').Waiting} item */
  #item(item) {
    switch (item.kind) {
      case 'approval':
        return html`<oc-approval
          .stores=${this.stores}
          .approval=${item.approval}
          @decide=${(/** @type {CustomEvent} */ event) => carryOut(this, event.detail)}
        ></oc-approval>`;
      case 'post':
        return html`<oc-post .stores=${this.stores} .post=${item.post}></oc-post>`;
      case 'device':
        return html`<oc-device-request .stores=${this.stores} .request=${item.request}></oc-device-request>`;
      case 'config':
        return ask(t('overview.configTitle'), t('overview.configText'), link('config', t('overview.configOpen')), problem(item.issues[0]));
      case 'credential':
        return this.#credential(item.credential);
      case 'channel':
        return ask(t('overview.channelStopped', {name: item.label}), item.error, link('channels', t('overview.channelOpen')));
      default:
        return this.#job(item.job);
    }
  }

  /** @param {any} job */
  #job(job) {
    const {cron, gateway} = this.stores;
    const {lastError = '', lastRunAtMs, consecutiveErrors = 1} = job.state ?? {};
    const times = t('overview.jobFailedTimes', {n: consecutiveErrors, when: ago(lastRunAtMs)});
    const busy = cron.state.busy.has(job.id) || !gateway.canAsk;
    const buttons = html`<button ?disabled=${busy} @click=${() => cron.run(job)}>${t('overview.jobRun')}</button>
      ${link('cron', t('overview.jobOpen'))}`;
    return ask(t('overview.jobFailed', {name: job.name}), times, buttons, lastError);
  }

  /** @param {import('./credentials-store.js').Credential} credential */
  #credential({label, state, expiresAtMs, fix}) {
    const over = state === 'expired';
    const title = over
      ? t('overview.credentialOver', {name: label})
      : t('overview.credentialExpires', {name: label, when: ago(expiresAtMs)});
    return html`<div class="card asks">
      <h3>${title}</h3>
      ${fix ? html`<p class="soft small">${t('overview.credentialFix')}</p><oc-copy text=${fix}></oc-copy>` : nothing}
    </div>`;
  }

  #presence() {
    const {presence} = this.stores.gateway.state;
    if (!presence.length) return html`<p class="card soft">${t('overview.nobody')}</p>`;
    return html`<ul class="card lines">
      ${presence.map(
        (entry) => html`<li>
          <div class="grow">
            <h3>${entry.displayName ?? entry.host ?? entry.mode ?? t('overview.somebody')}</h3>
            <p class="soft small">${[entry.platform, entry.ip].filter(Boolean).join(' · ')}</p>
          </div>
          <span class="tag">${entry.mode === 'webchat' ? t('overview.browser') : (entry.mode ?? t('overview.client'))}</span>
        </li>`,
      )}
    </ul>`;
  }

  #sessions() {
    const {sessions} = this.stores;
    if (!sessions.state.sessions.length) return html`<p class="card soft">${t('overview.noSession')}</p>`;
    return html`<ul class="card lines">
      ${sessions.state.sessions.slice(0, 6).map(
        (session) => html`<li>
          <div class="grow">
            <h3><a href=${address('chat', session.key)}>${sessions.nameOf(session)}</a></h3>
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
const tile = (name, value) => html`<div class="card tile"><span class="soft small">${name}</span><b>${value === undefined || value === '' ? '–' : value}</b></div>`;

/**
 * One thing that waits, without a component of its own.
 * @param {string} title
 * @param {string} text
 * @param {unknown} buttons
 * @param {string} [detail] in the words of whoever failed
 */
const ask = (title, text, buttons, detail = '') => html`<div class="card asks">
  <div class="top">
    <div>
      <h3>${title}</h3>
      <p class="soft small">${text}</p>
    </div>
    <div class="row">${buttons}</div>
  </div>
  ${detail ? html`<p class="note mono">${detail}</p>` : nothing}
</div>`;

/**
 * @param {import('./route.js').ViewName} view
 * @param {string} text
 */
const link = (view, text) => html`<a class="button" href=${address(view)}>${text}</a>`;

/** @param {any} issue */
const problem = (issue) => (issue ? [issue.path, issue.message].filter(Boolean).join(': ') : '');

customElements.define('oc-overview', OverviewView);
