/** `<oc-approval>`: one command that waits, with everything a person needs to decide, and the decision. */

import './time-left.js';
import {fact} from './device-request.js';
import {t} from './i18n.js';
import {sessionName} from './sessions-store.js';
import {parts} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {visible} from './visible-text.js';
import {Decision} from './view.js';

/** Fires `decide` with `{approval, decision}`; whoever shows the card asks again before "always". */
export class ApprovalCard extends Decision {
  static watches = /** @type {const} */ (['approvals', 'gateway', 'sessions']);
  static properties = {approval: {attribute: false}};

  static styles = [
    common,
    parts,
    css`
      .card {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 14px;
        border-color: color-mix(in oklab, var(--warn) 45%, var(--line));
      }
      pre {
        max-height: 16rem;
        margin: 0;
        padding: 12px 14px;
        border-radius: 8px;
        background: var(--sunken);
        font: 0.88rem/1.5 var(--mono);
        overflow: auto;
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }
      oc-left {
        flex: none;
        color: var(--ink-soft);
        font-size: 0.85rem;
        font-variant-numeric: tabular-nums;
      }
      oc-left[urgent] {
        color: var(--warn);
        font-weight: 600;
      }
      .words {
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
        padding: 0;
        list-style: none;
      }
      .words li {
        padding: 1px 6px;
        border: 1px solid var(--line);
        border-radius: 5px;
        font: 0.82rem/1.5 var(--mono);
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }
      details > div {
        display: grid;
        gap: 6px;
        margin-top: 8px;
      }
      summary {
        width: fit-content;
        color: var(--ink-soft);
        font-size: 0.88rem;
        cursor: pointer;
      }
      .head {
        display: flex;
        flex-wrap: wrap;
        align-items: baseline;
        justify-content: space-between;
        gap: 4px 12px;
      }
      @media (max-width: 640px) {
        .row button {
          flex: 1 1 auto;
        }
      }
    `,
  ];

  constructor() {
    super();
    /** @type {any} */
    this.approval = null;
  }

  render() {
    const {approvals, gateway, connection} = this.stores;
    const {id, request, expiresAtMs} = this.approval;
    const busy = approvals.state.busy.has(id) || !gateway.canAsk || !this.armed;
    const refused = request.alwaysRefused ?? '';
    return html`<article class="card" aria-label=${t('approvals.wants')}>
      <div class="head">
        <h3>${t('approvals.wants')}</h3>
        <oc-left .until=${expiresAtMs} .now=${() => connection.now()} over=${t('approvals.expired')}></oc-left>
      </div>
      <pre tabindex="0">${visible(request.command)}</pre>
      ${request.reason ? html`<p class="small"><span class="soft">${t('approvals.reason')}:</span> ${request.reason}</p>` : nothing}
      <dl class="facts">
        ${fact(t('approvals.program'), request.resolvedPath ? html`<code>${visible(request.resolvedPath)}</code>` : '')}
        ${fact(t('approvals.folder'), request.cwd ? html`<code>${visible(request.cwd)}</code>` : t('approvals.workspace'))}
        ${fact(t('approvals.variables'), request.envKeys?.length ? html`<code>${request.envKeys.join(', ')}</code>` : t('app.none'))}
        ${fact(t('approvals.session'), this.#session(request))} ${fact(t('approvals.host'), request.host)}
      </dl>
      ${request.commandArgv?.length
        ? html`<details>
            <summary>${t('approvals.runs')}</summary>
            <div>${words(request.commandArgv)}</div>
          </details>`
        : nothing}
      <details>
        <summary>${t('approvals.always')}</summary>
        <div class="small">
          ${refused
            ? html`<p>${t('approvals.alwaysNot', {reason: refused})}</p>`
            : html`<p>${t('approvals.alwaysWords')}</p>
                ${words(request.words ?? [request.command])}`}
        </div>
      </details>
      <div class="row">
        <button class="main" ?disabled=${busy} @click=${() => this.#decide('allow-once')}>${t('approvals.allowOnce')}</button>
        <button ?disabled=${busy || Boolean(refused)} @click=${() => this.#decide('allow-always')}>${t('approvals.allowAlways')}</button>
        <button class="risk" ?disabled=${busy} @click=${() => this.#decide('deny')}>${t('approvals.deny')}</button>
      </div>
    </article>`;
  }

  /** @param {any} request */
  #session({sessionKey}) {
    if (!sessionKey) return '';
    const {sessions, mainKey} = this.stores.sessions.state;
    return sessionName(sessions.find(({key}) => key === sessionKey) ?? {key: sessionKey}, mainKey);
  }

  /** @param {import('./approvals-store.js').Decision} decision */
  #decide(decision) {
    this.dispatchEvent(new CustomEvent('decide', {detail: {approval: this.approval, decision}}));
  }
}

/** @param {string[]} list each word by itself, so that blanks inside one cannot pretend to be two */
const words = (list) => html`<ol class="words">${list.map((word) => html`<li>${visible(word)}</li>`)}</ol>`;

/**
 * Carry a decision out; "always" is asked for once more.
 * @param {import('./view.js').View} view
 * @param {{approval: any, decision: import('./approvals-store.js').Decision}} wish
 */
export async function carryOut(view, {approval, decision}) {
  const text = t('approvals.sureAlwaysText', {command: visible(approval.request.command)});
  const question = {title: t('approvals.sureAlways'), text, action: t('approvals.allowAlways')};
  if (decision !== 'allow-always' || (await view.sure(question))) await view.stores.approvals.decide(approval, decision);
}

customElements.define('oc-approval', ApprovalCard);
