/** `<oc-cron>`: jobs that run by themselves, what became of them, and everything that can be done to them. */

import './confirm-dialog.js';
import './cron-form.js';
import {jobText, scheduleText} from './cron-schedule.js';
import {ago, dateTime} from './format.js';
import {known, t} from './i18n.js';
import {cronIcon} from './icons.js';
import {fits, pageHead, refreshButton, searchField} from './page-parts.js';
import {outcome, stateCard, whenReady} from './page-state.js';
import {fields, parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {Page} from './view.js';

/** @type {Record<string, string>} */
const COLOURS = {ok: 'good', error: 'bad', skipped: 'warn'};

export class CronView extends Page {
  static watches = /** @type {const} */ (['cron', 'gateway']);
  static reads = /** @type {any} */ (['cron']);
  static properties = {text: {state: true}, opened: {state: true}};

  static styles = [
    common,
    page,
    parts,
    fields,
    css`
      .job {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 10px;
        padding: 16px 20px;
      }
      .message {
        display: -webkit-box;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 2;
        overflow: hidden;
        white-space: pre-line;
      }
      .times {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 16px;
      }
      .job > .row {
        justify-content: space-between;
      }
      .history {
        padding: 8px 0 0;
        border-top: 1px solid var(--line);
        list-style: none;
        font-size: 0.88rem;
      }
      .history li {
        display: flex;
        flex-wrap: wrap;
        align-items: baseline;
        gap: 2px 12px;
        padding: 4px 0;
        overflow-wrap: anywhere;
      }
      .history .detail {
        flex: 1 1 100%;
      }
    `,
  ];

  constructor() {
    super();
    this.text = '';
    /** @type {string} the job whose history is shown */
    this.opened = '';
  }

  render() {
    const {cron, gateway} = this.stores;
    return html`<div class="page">
        ${pageHead(t('app.cron'), {
          below: cron.state.scheduler ? html`<p class="soft small">${this.#scheduler()}</p>` : nothing,
          actions: html`<div class="row">
            ${refreshButton(() => cron.reload(), gateway.canAsk)}
            <button class="main" @click=${() => this.#edit(null)} ?disabled=${!gateway.canAsk || !cron.state.ready}>${t('cron.add')}</button>
          </div>`,
        })}
        ${outcome(cron)} ${whenReady(cron, () => this.#jobs())}
      </div>
      <oc-confirm></oc-confirm><oc-cron-form .stores=${this.stores}></oc-cron-form>`;
  }

  #scheduler() {
    const {enabled, nextWakeAtMs} = this.stores.cron.state.scheduler;
    if (!enabled) return t('cron.schedulerOff');
    return nextWakeAtMs ? t('cron.scheduler', {when: ago(nextWakeAtMs)}) : t('cron.schedulerIdle');
  }

  #jobs() {
    const {jobs} = this.stores.cron.state;
    if (!jobs.length) return stateCard(cronIcon, t('app.cron'), t('cron.none'));
    const shown = jobs.filter((job) => fits(this.text, `${job.name} ${job.description ?? ''} ${jobText(job)}`));
    return html`<div class="tools">
        ${searchField(t('cron.find'), this.text, (text) => (this.text = text))}
      </div>
      ${shown.length
        ? html`<ul class="cards">${repeat(shown, ({id}) => id, (job) => this.#job(job))}</ul>`
        : html`<p class="card soft">${t('cron.noMatch', {text: this.text})}</p>`}`;
  }

  /** @param {any} job */
  #job(job) {
    const {nextRunAtMs, lastRunAtMs, lastError} = job.state ?? {};
    return html`<li class="card job">
      <div class="top">
        <div>
          <h3 class="name">${job.name} ${this.#tag(job)}</h3>
          <p class="soft small">${scheduleText(job.schedule)}</p>
        </div>
        <label class="check">
          <input
            type="checkbox"
            role="switch"
            aria-label=${t('cron.enableOf', {name: job.name})}
            .checked=${job.enabled}
            ?disabled=${this.#busy(job)}
            @change=${(/** @type {any} */ event) => this.stores.cron.enable(job, event.target.checked)}
          />
          ${t('cron.enabled')}
        </label>
      </div>
      <p class="small message">${jobText(job)}</p>
      <p class="soft small times">
        ${job.enabled && nextRunAtMs ? html`<span title=${dateTime(nextRunAtMs)}>${t('cron.next')}: ${ago(nextRunAtMs)}</span>` : nothing}
        <span title=${lastRunAtMs ? dateTime(lastRunAtMs) : nothing}>${t('cron.last')}: ${ago(lastRunAtMs)}</span>
      </p>
      ${lastError && job.state.lastRunStatus === 'error' ? html`<p class="note bad">${lastError}</p>` : nothing} ${this.#buttons(job)}
      ${this.opened === job.id ? this.#history(job) : nothing}
    </li>`;
  }

  /** @param {any} job */
  #tag(job) {
    const {runningAtMs, lastRunStatus} = job.state ?? {};
    if (runningAtMs) return html`<span class="tag warn">${t('cron.runningNow')}</span>`;
    if (!job.enabled) return html`<span class="tag">${t('cron.paused')}</span>`;
    return lastRunStatus ? html`<span class="tag ${COLOURS[lastRunStatus] ?? ''}">${status(lastRunStatus)}</span>` : nothing;
  }

  /** @param {any} job */
  #buttons(job) {
    const {name, id} = job;
    const busy = this.#busy(job);
    const open = this.opened === id;
    return html`<div class="row">
      <div class="row">
        <button aria-label=${t('cron.runOf', {name})} ?disabled=${busy} @click=${() => this.stores.cron.run(job)}>${t('cron.runNow')}</button>
        <button aria-label=${t('cron.historyOf', {name})} aria-expanded=${String(open)} @click=${() => this.#toggle(id)}>${t('cron.history')}</button>
      </div>
      <div class="row">
        <button aria-label=${t('cron.editOf', {name})} ?disabled=${busy} @click=${() => this.#edit(job)}>${t('app.edit')}</button>
        <button class="risk" aria-label=${t('cron.deleteOf', {name})} ?disabled=${busy} @click=${() => this.#delete(job)}>${t('app.delete')}</button>
      </div>
    </div>`;
  }

  /** @param {any} job */
  #history({id, name}) {
    const entries = this.stores.cron.state.histories[id];
    if (!entries) return html`<p class="soft small" role="status">${t('app.loading')}</p>`;
    if (!entries.length) return html`<p class="soft small">${t('cron.historyNone')}</p>`;
    return html`<ol class="history" aria-label=${t('cron.historyOf', {name})}>
      ${entries.map(
        ({status: result, runAtMs, ts, durationMs, error, summary}) => html`<li>
          <span class="tag ${COLOURS[result] ?? ''}">${status(result)}</span>
          <span class="soft">${dateTime(runAtMs ?? ts)}</span>
          ${durationMs === undefined ? nothing : html`<span class="soft">${t('cron.took', {span: t('cron.seconds', {n: (durationMs / 1000).toFixed(1)})})}</span>`}
          ${[error, summary].filter(Boolean).map((text) => html`<span class="detail">${text}</span>`)}
        </li>`,
      )}
    </ol>`;
  }

  /** @param {any} job */
  #busy(job) {
    return this.stores.cron.state.busy.has(job.id) || !this.stores.gateway.canAsk;
  }

  /** @param {string} id */
  #toggle(id) {
    this.opened = this.opened === id ? '' : id;
    if (this.opened) this.stores.cron.readHistory(id);
  }

  /** @param {any} job */
  #edit(job) {
    /** @type {import('./cron-form.js').CronForm} */ (this.renderRoot.querySelector('oc-cron-form')).open(job);
  }

  /** @param {any} job */
  async #delete(job) {
    const question = {title: t('cron.sureDelete', {name: job.name}), text: t('cron.deleteText'), action: t('app.delete')};
    if (await this.sure(question)) await this.stores.cron.remove(job);
  }
}

/** @param {string} name */
const status = (name) => (known(`cron.${name}`) ? t(`cron.${name}`) : name);

customElements.define('oc-cron', CronView);
