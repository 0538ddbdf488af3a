/** `<oc-cron-form>`: a job to be made or changed, in a dialog. */

import {draftOf, fieldsOf, problemsOf} from './cron-schedule.js';
import {t} from './i18n.js';
import {dialogs, fields} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, nothing} from './vendor/lit.js';
import {View} from './view.js';

const UNITS = /** @type {const} */ (['Minutes', 'Hours', 'Days']);

export class CronForm extends View {
  static watches = /** @type {const} */ (['cron', 'gateway']);
  static properties = {job: {state: true}, draft: {state: true}, tried: {state: true}};

  static styles = [
    common,
    dialogs,
    fields,
    css`
      dialog {
        --dialog-width: 34rem;
      }
      form {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 16px;
      }
      .pair {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(11rem, 100%), 1fr));
        gap: 12px;
      }
      .end {
        justify-content: flex-end;
      }
    `,
  ];

  constructor() {
    super();
    /** @type {any} */
    this.job = null;
    this.draft = draftOf();
    this.tried = false;
  }

  /** @param {any} job null makes a new one */
  async open(job) {
    this.job = job;
    this.draft = draftOf(job);
    this.tried = false;
    this.stores.cron.set({error: ''});
    await this.updateComplete;
    this.#dialog.showModal();
    /** @type {HTMLElement} */ (this.renderRoot.querySelector('#name')).focus();
  }

  get #dialog() {
    return /** @type {HTMLDialogElement} */ (this.renderRoot.querySelector('dialog'));
  }

  render() {
    const {draft} = this;
    const {cron, gateway} = this.stores;
    const problems = this.tried ? problemsOf(draft, this.stores.connection.now()) : {};
    const title = this.job ? t('cron.editTitle', {name: this.job.name}) : t('cron.newTitle');
    return html`<dialog aria-labelledby="title">
      <form @submit=${this.#submit} novalidate>
        <h2 id="title">${title}</h2>
        ${cron.state.error ? html`<p class="note bad" role="alert">${cron.state.error}</p>` : nothing}
        ${this.#field('name', t('cron.name'), problems.name, html`<input id="name" maxlength="120" autocomplete="off" .value=${draft.name} @input=${this.#typed} />`)}
        ${this.#choice('kind', t('cron.when'), [['cron', t('cron.whenCron')], ['every', t('cron.whenEvery')], ['at', t('cron.whenAt')]])}
        ${this.#when(problems)}
        ${this.#field('message', t('cron.message'), problems.message, html`<textarea id="message" rows="4" .value=${draft.message} @input=${this.#typed}></textarea>`)}
        ${this.#choice('target', t('cron.where'), [['isolated', t('cron.isolated')], ['main', t('cron.mainTarget')]])}
        ${draft.target === 'isolated'
          ? html`<label class="check"><input id="deliver" type="checkbox" .checked=${draft.deliver} @change=${this.#typed} /> ${t('cron.deliver')}</label>`
          : nothing}
        <div class="row end">
          <button type="button" @click=${() => this.#dialog.close()}>${t('app.cancel')}</button>
          <button class="main" ?disabled=${!gateway.canAsk || cron.state.busy.has(this.job?.id ?? 'new')}>${t('app.save')}</button>
        </div>
      </form>
    </dialog>`;
  }

  /** @param {Record<string, string>} problems */
  #when(problems) {
    const {draft} = this;
    if (draft.kind === 'at') {
      return this.#field('at', t('cron.at'), problems.at, html`<input id="at" type="datetime-local" .value=${draft.at} @input=${this.#typed} />`);
    }
    if (draft.kind === 'every') {
      return html`<div class="pair">
        ${this.#field('count', t('cron.every'), problems.count, html`<input id="count" type="number" min="1" .value=${draft.count} @input=${this.#typed} />`)}
        ${this.#choice('unit', t('cron.unit'), UNITS.map((unit) => [unit, t(`cron.unit${unit}`)]))}
      </div>`;
    }
    return html`<div class="pair">
        ${this.#field('expr', t('cron.expr'), problems.expr, html`<input id="expr" class="mono" autocomplete="off" spellcheck="false" aria-describedby="expr-hint" .value=${draft.expr} @input=${this.#typed} />`)}
        ${this.#field('tz', t('cron.tz'), '', html`<input id="tz" autocomplete="off" spellcheck="false" placeholder="Asia/Seoul" .value=${draft.tz} @input=${this.#typed} />`)}
      </div>
      <p class="soft small" id="expr-hint">${t('cron.exprHint')}</p>`;
  }

  /**
   * @param {string} id
   * @param {string} label
   * @param {string | undefined} problem
   * @param {unknown} input
   */
  #field(id, label, problem, input) {
    return html`<div class="field">
      <label for=${id}>${label}</label>
      ${input} ${problem ? html`<p class="wrong" role="alert">${t(problem)}</p>` : nothing}
    </div>`;
  }

  /**
   * @param {string} id
   * @param {string} label
   * @param {string[][]} options value and word
   */
  #choice(id, label, options) {
    const chosen = /** @type {any} */ (this.draft)[id];
    const words = options.map(([value, word]) => html`<option value=${value} ?selected=${value === chosen}>${word}</option>`);
    return this.#field(id, label, '', html`<select id=${id} .value=${chosen} @change=${this.#typed}>${words}</select>`);
  }

  /** @param {Event} event every input has the name of its part of the draft */
  #typed(event) {
    const input = /** @type {HTMLInputElement} */ (event.target);
    this.draft = {...this.draft, [input.id]: input.type === 'checkbox' ? input.checked : input.value};
  }

  /** @param {Event} event */
  async #submit(event) {
    event.preventDefault();
    this.tried = true;
    const [wrong] = Object.keys(problemsOf(this.draft, this.stores.connection.now()));
    if (wrong) {
      /** @type {HTMLElement} */ (this.renderRoot.querySelector(`#${wrong}`)).focus();
      return;
    }
    const saved = await this.stores.cron.save(this.job?.id ?? '', fieldsOf(this.draft, this.job ?? undefined));
    if (saved) this.#dialog.close();
  }
}

customElements.define('oc-cron-form', CronForm);
