/** `<oc-usage>`: what was used by day, by model and by session. */

import {compact, weekday} from './format.js';
import {t} from './i18n.js';
import {refreshIcon} from './icons.js';
import {pageHead} from './page-parts.js';
import {outcome, whenReady} from './page-state.js';
import {address} from './route.js';
import {sessionName} from './sessions-store.js';
import {parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {bars, sum} from './usage-days.js';
import {css, html, nothing, svg} from './vendor/lit.js';
import {Page} from './view.js';

const SPANS = [7, 30, 90];
const HEIGHT = 120;
const STEP = 10;
const PARTS = /** @type {const} */ (['cached', 'read', 'written']);

export class UsageView extends Page {
  static watches = /** @type {const} */ (['usage', 'sessions', 'gateway']);
  static reads = /** @type {any} */ (['usage']);

  static styles = [
    common,
    page,
    parts,
    css`
      .spans button {
        padding: 0 10px;
      }
      .spans button[aria-pressed='true'] {
        border-color: var(--accent);
        background: var(--accent-wash);
        color: var(--accent);
      }
      .chart {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 12px;
      }
      .chart svg {
        width: 100%;
        height: 160px;
      }
      .base {
        stroke: var(--line-strong);
        vector-effect: non-scaling-stroke;
      }
      .cached {
        --part: color-mix(in oklab, var(--accent) 35%, var(--surface));
      }
      .read {
        --part: var(--accent);
      }
      .written {
        --part: var(--good);
      }
      rect {
        fill: var(--part);
      }
      rect.day {
        fill: transparent;
      }
      rect.day:hover {
        fill: var(--ink);
        fill-opacity: 0.06;
      }
      .legend {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 16px;
      }
      .legend span {
        display: inline-flex;
        align-items: center;
        gap: 6px;
      }
      .legend i {
        width: 10px;
        height: 10px;
        border-radius: 3px;
        background: var(--part);
      }
      summary {
        cursor: pointer;
      }
      .wide {
        overflow-x: auto;
      }
      table {
        width: 100%;
        margin-top: 8px;
        border-collapse: collapse;
        font-size: 0.88rem;
        font-variant-numeric: tabular-nums;
      }
      th,
      td {
        padding: 4px 8px;
        border-bottom: 1px solid var(--line);
        text-align: right;
      }
      :is(th, td):first-child {
        padding-left: 0;
        text-align: left;
        white-space: nowrap;
      }
      ul.lines a {
        color: inherit;
      }
    `,
  ];

  render() {
    const {usage, gateway} = this.stores;
    return html`<div class="page">
      ${pageHead(t('app.usage'), {
        below: html`<p class="soft small">${t('usage.text')}</p>`,
        actions: html`<div class="row">
          <div class="row spans" role="group" aria-label=${t('usage.span')}>
            ${SPANS.map(
              (days) =>
                html`<button aria-pressed=${String(usage.state.days === days)} ?disabled=${!gateway.canAsk} @click=${() => usage.choose(days)}>
                  ${t('usage.days', {n: days})}
                </button>`,
            )}
          </div>
          <button class="square" title=${t('app.refresh')} aria-label=${t('app.refresh')} ?disabled=${!gateway.canAsk} @click=${() => usage.reload()}>
            ${refreshIcon}
          </button>
        </div>`,
      })}
      ${outcome(usage)} ${whenReady(usage, () => this.#body())}
    </div>`;
  }

  #body() {
    const {daily, totals, models, sessions} = this.stores.usage.state;
    if (!totals.totalTokens) return html`<p class="card soft">${t('usage.nothing', {n: daily.length})}</p>`;
    return html`${this.#days()}
      <section aria-labelledby="models">
        <h2 id="models">${t('usage.byModel')}</h2>
        <ul class="card lines">
          ${models.map(({provider, model, count, totals: used}) => line(`${provider}/${model}`, t('usage.calls', {n: count}), used))}
        </ul>
      </section>
      <section aria-labelledby="sessions">
        <h2 id="sessions">${t('usage.bySession')}</h2>
        <ul class="card lines">
          ${sessions.map((session) => line(this.#link(session), t('usage.messages', {n: session.usage.messageCounts?.total ?? 0}), session.usage))}
        </ul>
      </section>`;
  }

  /** @param {any} session */
  #link(session) {
    const name = sessionName(session, this.stores.sessions.state.mainKey);
    return html`<a href=${address('chat', session.key)}>${name}</a>`;
  }

  #days() {
    const {daily, totals} = this.stores.usage.state;
    const all = {all: compact(totals.totalTokens), read: compact(totals.input), cached: compact(totals.cacheRead), written: compact(totals.output)};
    return html`<section aria-labelledby="days">
      <h2 id="days">${t('usage.byDay')}</h2>
      <div class="card chart">
        <p>${t('usage.total', all)}</p>
        ${chart(daily)}
        <p class="legend soft small">${PARTS.map((part) => html`<span class=${part}><i></i>${t(`usage.${part}`)}</span>`)}</p>
        <details>
          <summary class="small">${t('usage.table')}</summary>
          <div class="wide">${table(daily)}</div>
        </details>
      </div>
    </section>`;
  }
}

/** @param {import('./usage-days.js').Day[]} days */
function chart(days) {
  const width = days.length * STEP;
  return html`<svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${t('usage.chart', {n: days.length})}>
    ${bars(days, HEIGHT - 4).map(({day, parts: heights}, index) => {
      let top = HEIGHT;
      return svg`<g>
        ${heights.map((height, part) => svg`<rect class=${PARTS[part]} x=${index * STEP + 1.5} y=${(top -= height)} width=${STEP - 3} height=${height}></rect>`)}
        <rect class="day" x=${index * STEP} y="0" width=${STEP} height=${HEIGHT}><title>${told(day)}</title></rect>
      </g>`;
    })}
    <line class="base" x1="0" x2=${width} y1=${HEIGHT} y2=${HEIGHT}></line>
  </svg>`;
}

/** @param {string} date its noon is that day in every zone that this browser could be in */
const dayName = (date) => weekday(new Date(`${date}T12:00:00`).getTime());

/** @param {import('./usage-days.js').Day} day */
const told = (day) => t('usage.dayTold', {day: dayName(day.date), n: compact(sum(day))});

/** @param {import('./usage-days.js').Day[]} days */
function table(days) {
  const used = days.filter((day) => sum(day)).reverse();
  return html`<table>
    <thead>
      <tr>
        <th scope="col">${t('usage.day')}</th>
        ${PARTS.map((part) => html`<th scope="col">${t(`usage.${part}`)}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${used.map((day) => html`<tr><td>${dayName(day.date)}</td>${PARTS.map((part) => html`<td>${compact(day[part])}</td>`)}</tr>`)}
    </tbody>
  </table>`;
}

/**
 * @param {unknown} name
 * @param {string} more
 * @param {any} used
 */
function line(name, more, used) {
  const {totalTokens = 0, input = 0, cacheRead = 0, output = 0} = used ?? {};
  const kinds = t('usage.kinds', {read: compact(input), cached: compact(cacheRead), written: compact(output)});
  return html`<li>
    <div class="grow">
      <h3>${name}</h3>
      <p class="soft small">${kinds}</p>
    </div>
    <span class="soft small">${more}</span>
    <span class="tag">${totalTokens ? t('sessions.tokens', {used: compact(totalTokens)}) : nothing}</span>
  </li>`;
}

customElements.define('oc-usage', UsageView);
