/** `<oc-channels>`: each account of each channel, and whether it works. */

import {accountState} from './channels-store.js';
import {fact} from './device-request.js';
import {ago} from './format.js';
import {t} from './i18n.js';
import {channelsIcon} from './icons.js';
import {pageHead, refreshButton} from './page-parts.js';
import {outcome, stateCard, whenReady} from './page-state.js';
import {parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {Page} from './view.js';

const COLOURS = {off: '', online: 'good', connecting: 'warn', stopped: 'bad'};

export class ChannelsView extends Page {
  static watches = /** @type {const} */ (['channels', 'gateway']);
  static reads = /** @type {any} */ (['channels']);

  static styles = [
    common,
    page,
    parts,
    css`
      .account {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 14px;
      }
    `,
  ];

  render() {
    const {channels, gateway} = this.stores;
    const {probing} = channels.state;
    return html`<div class="page">
      ${pageHead(t('app.channels'), {
        actions: html`<div class="row">
          ${refreshButton(() => channels.reload(), gateway.canAsk)}
          <button class="main" @click=${() => channels.probe()} ?disabled=${probing || !gateway.canAsk}>
            ${probing ? t('channels.probing') : t('channels.probe')}
          </button>
        </div>`,
      })}
      ${outcome(channels)} ${whenReady(channels, () => this.#channels())}
    </div>`;
  }

  #channels() {
    const {channels} = this.stores.channels.state;
    if (!channels.length) return stateCard(channelsIcon, t('channels.none'), t('channels.noneText'));
    return channels.map(
      ({id, label, accounts}) => html`<section aria-labelledby=${id}>
        <h2 id=${id}>${label}</h2>
        <ul class="cards">
          ${accounts.map((account) => this.#account(account))}
        </ul>
      </section>`,
    );
  }

  /** @param {any} account */
  #account(account) {
    const state = accountState(account);
    const {probe} = account;
    const content = probe?.application?.intents?.messageContent;
    return html`<li class="card account">
      <div class="top">
        <div>
          <h3 class="name">${account.name ?? account.accountId ?? t('channels.account')}</h3>
          ${probe ? html`<p class="small ${probe.ok ? 'soft' : 'wrong'}">${probed(account)}</p>` : nothing}
        </div>
        <span class="tag ${COLOURS[state]}">${t(`channels.${state}`)}</span>
      </div>
      <dl class="facts">
        ${fact(t('channels.bot'), probe?.bot?.username ?? account.bot?.username)}
        ${fact(t('channels.content'), content && t(`channels.content-${content}`))}
        ${fact(t('channels.lastIn'), ago(account.lastInboundAt))} ${fact(t('channels.lastOut'), ago(account.lastOutboundAt))}
        ${fact(t('channels.started'), ago(account.lastStartAt))} ${fact(t('channels.token'), account.tokenSource)}
      </dl>
      ${content === 'disabled' ? html`<p class="note bad">${t('channels.contentFix')}</p>` : nothing}
      ${account.lastError ? html`<p class="note bad"><b>${t('channels.lastError')}:</b> ${account.lastError}</p>` : nothing}
    </li>`;
  }
}

/** @param {any} account */
function probed({probe, lastProbeAt}) {
  const when = lastProbeAt ? ` · ${t('channels.probedAt', {when: ago(lastProbeAt)})}` : '';
  if (!probe.ok) return t('channels.probeBad', {reason: probe.error || t('channels.unknown')}) + when;
  return (Number.isFinite(probe.elapsedMs) ? t('channels.probeGoodMs', {ms: probe.elapsedMs}) : t('channels.probeGood')) + when;
}

customElements.define('oc-channels', ChannelsView);
