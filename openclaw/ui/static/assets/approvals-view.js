/** `<oc-approvals>`: commands that wait for a person, what was decided lately, and what is allowed for good. */

import './approval-card.js';
import './confirm-dialog.js';
import {carryOut} from './approval-card.js';
import {decisionName} from './approvals-store.js';
import {ago} from './format.js';
import {t} from './i18n.js';
import {pageHead, refreshButton} from './page-parts.js';
import {outcome, whenReady} from './page-state.js';
import {parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {visible} from './visible-text.js';
import {Page} from './view.js';

/** @type {Record<string, string>} */
const COLOURS = {'allow-once': 'good', 'allow-always': 'good', deny: 'bad'};

export class ApprovalsView extends Page {
  static watches = /** @type {const} */ (['approvals', 'allowlist', 'gateway']);
  static reads = /** @type {any} */ (['approvals', 'allowlist']);

  static styles = [
    common,
    page,
    parts,
    css`
      li > .grow > code {
        display: -webkit-box;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 3;
        overflow: hidden;
      }
    `,
  ];

  render() {
    const {approvals, allowlist, gateway} = this.stores;
    return html`<div class="page">
        ${pageHead(t('app.approvals'), {
          actions: refreshButton(() => Promise.all([approvals.reload(), allowlist.reload()]), gateway.canAsk),
        })}
        ${outcome(approvals)} ${outcome(allowlist)}
        <section aria-labelledby="waiting">
          <h2 id="waiting">${t('approvals.waiting')}</h2>
          ${whenReady(approvals, () => this.#waiting())}
        </section>
        ${approvals.state.decided.length ? this.#decided() : nothing}
        <section aria-labelledby="allowlist">
          <h2 id="allowlist">${t('approvals.allowlist')}</h2>
          ${whenReady(allowlist, () => this.#allowlist())}
        </section>
      </div>
      <oc-confirm></oc-confirm>`;
  }

  #waiting() {
    const {waiting} = this.stores.approvals.state;
    if (!waiting.length) return html`<p class="card soft">${t('approvals.none')}</p>`;
    return html`<ul class="cards">
      ${repeat(
        waiting,
        ({id}) => id,
        (approval) => html`<li>
          <oc-approval
            .stores=${this.stores}
            .approval=${approval}
            @decide=${(/** @type {CustomEvent} */ event) => carryOut(this, event.detail)}
          ></oc-approval>
        </li>`,
      )}
    </ul>`;
  }

  #decided() {
    return html`<section aria-labelledby="decided">
      <h2 id="decided">${t('approvals.decided')}</h2>
      <ul class="card lines">
        ${this.stores.approvals.state.decided.map(
          ({command, decision, by, at}) => html`<li>
            <div class="grow">
              <code>${visible(command)}</code>
              <p class="soft small">${ago(at)}</p>
            </div>
            <span class="tag ${COLOURS[decision] ?? ''}">${said(decision, by)}</span>
          </li>`,
        )}
      </ul>
    </section>`;
  }

  #allowlist() {
    const {allowlist, gateway} = this.stores;
    const {entries} = allowlist;
    if (!entries.length) return html`<p class="card soft">${t('approvals.allowlistNone')}</p>`;
    return html`<ul class="card lines">
      ${entries.map(
        ({agent, entry}) => html`<li>
          <div class="grow">
            <code>${visible(entry.pattern)}</code>
            <p class="soft small">
              ${agent === '*' ? t('approvals.allAgents') : agent} ·
              ${entry.lastUsedAt ? t('approvals.lastUsed', {when: ago(entry.lastUsedAt)}) : t('approvals.unused')}
            </p>
          </div>
          <button
            class="risk"
            aria-label=${t('approvals.withdrawOf', {pattern: entry.pattern})}
            ?disabled=${!gateway.canAsk || allowlist.state.busy.size > 0}
            @click=${() => this.#withdraw(agent, entry)}
          >
            ${t('approvals.withdraw')}
          </button>
        </li>`,
      )}
    </ul>`;
  }

  /**
   * @param {string} agent
   * @param {any} entry
   */
  async #withdraw(agent, entry) {
    const text = t('approvals.sureWithdrawText', {pattern: visible(entry.pattern)});
    const question = {title: t('approvals.sureWithdraw'), text, action: t('approvals.withdraw')};
    if (await this.sure(question)) await this.stores.allowlist.withdraw(agent, entry);
  }
}

/**
 * @param {string} decision
 * @param {string} by
 */
function said(decision, by) {
  if (decision === 'expired') return t('approvals.expired');
  const name = decisionName(decision);
  return by ? t('approvals.by', {decision: name, who: by}) : t('approvals.byYou', {decision: name});
}

customElements.define('oc-approvals', ApprovalsView);
