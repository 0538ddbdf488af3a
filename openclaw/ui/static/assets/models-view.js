/** `<oc-models>`: which models answer in which order, and all that could. */

import {ago, compact} from './format.js';
import {t} from './i18n.js';
import {upIcon} from './icons.js';
import {modelRef} from './models-store.js';
import {fits, pageHead, refreshButton, searchField} from './page-parts.js';
import {outcome, whenReady} from './page-state.js';
import {fields, parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {Page} from './view.js';

export class ModelsView extends Page {
  static watches = /** @type {const} */ (['models', 'gateway']);
  static reads = /** @type {any} */ (['models']);
  static properties = {text: {state: true}};

  static styles = [
    common,
    page,
    parts,
    fields,
    css`
      ol.lines > li {
        justify-content: normal;
        column-gap: 12px;
      }
      ol.lines > li > .grow {
        flex-basis: 11rem;
      }
    `,
  ];

  constructor() {
    super();
    this.text = '';
  }

  render() {
    const {models, gateway} = this.stores;
    return html`<div class="page">
      ${pageHead(t('app.models'), {actions: refreshButton(() => models.reload(), gateway.canAsk)})}
      ${outcome(models)} ${whenReady(models, () => html`${this.#order()} ${this.#usage()} ${this.#catalogue()}`)}
    </div>`;
  }

  get #busy() {
    return this.stores.models.state.busy.size > 0 || !this.stores.gateway.canAsk;
  }

  #order() {
    const {order} = this.stores.models.state;
    return html`<section aria-labelledby="order">
      <div>
        <h2 id="order">${t('models.order')}</h2>
        <p class="soft small">${t('models.orderText')}</p>
      </div>
      ${order.length
        ? html`<ol class="card lines">${order.map((ref, index) => this.#place(ref, index))}</ol>`
        : html`<p class="card soft">${t('models.noneSet')}</p>`}
    </section>`;
  }

  /**
   * @param {string} ref
   * @param {number} index
   */
  #place(ref, index) {
    const {models} = this.stores;
    const {order} = models.state;
    const resting = models.resting(ref);
    const up = [...order];
    if (index) up.splice(index - 1, 2, ref, order[index - 1]);
    return html`<li>
      <div class="grow">
        <h3>${ref}</h3>
        <p class="soft small">${index ? t('models.fallback', {n: index}) : t('models.primary')}${resting ? ` · ${resting}` : ''}</p>
      </div>
      <span class="tag ${resting ? 'warn' : 'good'}">${resting ? t('models.rests') : t('models.ready')}</span>
      ${index
        ? html`<button class="square" title=${t('models.up')} aria-label=${t('models.upOf', {name: ref})} ?disabled=${this.#busy} @click=${() => models.choose(up)}>
              ${upIcon}
            </button>
            <button class="risk" aria-label=${t('models.removeOf', {name: ref})} ?disabled=${this.#busy} @click=${() => models.choose(order.filter((one) => one !== ref))}>
              ${t('app.remove')}
            </button>`
        : nothing}
    </li>`;
  }

  #usage() {
    const rows = this.stores.models.state.providers.filter(({windows}) => windows?.length);
    if (!rows.length) return nothing;
    return html`<section aria-labelledby="usage">
      <h2 id="usage">${t('models.usage')}</h2>
      <ul class="card lines">
        ${rows.map(
          ({displayName, provider, windows}) => html`<li>
            <h3 class="grow">${displayName ?? provider}</h3>
            <p class="soft small">${windows.map(used).join(' · ')}</p>
          </li>`,
        )}
      </ul>
    </section>`;
  }

  #catalogue() {
    const {catalogue} = this.stores.models.state;
    const shown = catalogue.filter((model) => fits(this.text, `${modelRef(model)} ${model.name}`));
    return html`<section aria-labelledby="catalogue">
      <h2 id="catalogue">${t('models.catalogue')}</h2>
      <div class="tools">
        ${searchField(t('models.find'), this.text, (text) => (this.text = text))}
      </div>
      ${shown.length
        ? html`<ul class="card lines">${repeat(shown, modelRef, (model) => this.#model(model))}</ul>`
        : html`<p class="card soft">${t('models.noMatch', {text: this.text})}</p>`}
    </section>`;
  }

  /** @param {any} model */
  #model(model) {
    const {models} = this.stores;
    const {order} = models.state;
    const ref = modelRef(model);
    const others = order.filter((one) => one !== ref);
    return html`<li>
      <div class="grow">
        <h3 class="name">${model.name ?? ref} ${order.includes(ref) ? html`<span class="tag good">${t('models.inUse')}</span>` : nothing}</h3>
        <p class="soft small">${[ref, ...abilities(model)].join(' · ')}</p>
      </div>
      <div class="row">
        ${order.includes(ref)
          ? nothing
          : html`<button aria-label=${t('models.addFallbackOf', {name: ref})} ?disabled=${this.#busy || !order.length} @click=${() => models.choose([...order, ref])}>
              ${t('models.addFallback')}
            </button>`}
        ${order[0] === ref
          ? nothing
          : html`<button aria-label=${t('models.makePrimaryOf', {name: ref})} ?disabled=${this.#busy} @click=${() => models.choose([ref, ...others])}>
              ${t('models.makePrimary')}
            </button>`}
      </div>
    </li>`;
  }
}

/** @param {any} model */
const abilities = ({contextWindow, reasoning, input}) =>
  [
    contextWindow ? t('models.context', {n: compact(contextWindow)}) : '',
    reasoning ? t('models.reasoning') : '',
    input?.includes('image') ? t('models.image') : '',
  ].filter(Boolean);

/** @param {any} window */
const used = ({label, usedPercent, resetAt}) =>
  t('models.window', {label, percent: Math.round(usedPercent ?? 0)}) + (resetAt ? `, ${t('models.resets', {when: ago(resetAt)})}` : '');

customElements.define('oc-models', ModelsView);
