/** `<oc-config-form>`: the settings of one part at a time, as the gateway describes them. */

import {REDACTED, fieldsOf, patchOf, sections, shownValue, typedValue, valueAt} from './config-form.js';
import {t} from './i18n.js';
import {fits, searchField} from './page-parts.js';
import {fields, parts} from './styles-parts.js';
import {common} from './styles.js';
import {css, html, live, nothing, repeat} from './vendor/lit.js';
import {View} from './view.js';

export class ConfigForm extends View {
  static watches = /** @type {const} */ (['config', 'gateway']);
  static properties = {section: {state: true}, text: {state: true}, advanced: {state: true}, edits: {state: true}};

  static styles = [
    common,
    parts,
    fields,
    css`
      :host {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 16px;
      }
      .card {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        padding: 4px 20px;
      }
      .setting {
        display: grid;
        grid-template-columns: minmax(0, 2fr) minmax(0, 3fr);
        gap: 6px 20px;
        padding: 14px 0;
      }
      .setting + .setting {
        border-top: 1px solid var(--line);
      }
      .setting label {
        font-size: 0.92rem;
        font-weight: 600;
        overflow-wrap: anywhere;
      }
      .setting code {
        color: var(--ink-soft);
        font-size: 0.75rem;
        overflow-wrap: anywhere;
      }
      .value {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 4px;
        align-content: start;
      }
      .value :is(input, select, textarea) {
        width: 100%;
      }
      .value textarea.code {
        font: 0.82rem/1.5 var(--mono);
      }
      .changed :is(input, select, textarea) {
        border-color: var(--accent);
        outline: 1px solid var(--accent);
      }
      .bar {
        position: sticky;
        bottom: 0;
        justify-content: space-between;
        padding: 12px 16px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--raised);
        box-shadow: 0 -4px 18px var(--shade);
      }
      @media (max-width: 640px) {
        .setting {
          grid-template-columns: minmax(0, 1fr);
        }
      }
    `,
  ];

  /** @type {string | undefined} the hash of the file that is being changed */
  #base;

  constructor() {
    super();
    this.section = '';
    this.text = '';
    this.advanced = false;
    /** @type {ReadonlyMap<string, {field: import('./config-form.js').Field, text: string}>} what was typed, by path */
    this.edits = new Map();
  }

  render() {
    const {schema} = this.stores.config.state;
    const every = sections(schema);
    const all = every.filter(({name}) => this.advanced || fieldsOf(schema, name).some(({advanced}) => !advanced));
    const section = all.some(({name}) => name === this.section) ? this.section : (all[0]?.name ?? '');
    const searching = this.text.trim() !== '';
    const found = (searching ? every.map(({name}) => name) : [section]).flatMap((name) => fieldsOf(schema, name));
    const shown = found.filter((field) => this.#fits(field, searching));
    return html`<div class="tools">
        <select aria-label=${t('config.section')} .value=${live(section)} ?disabled=${searching} @change=${(/** @type {any} */ event) => (this.section = event.target.value)}>
          ${all.map(({name, label}) => html`<option value=${name} ?selected=${name === section}>${label}</option>`)}
        </select>
        ${searchField(t('config.find'), this.text, (text) => (this.text = text))}
        <label class="check">
          <input type="checkbox" .checked=${this.advanced} @change=${(/** @type {any} */ event) => (this.advanced = event.target.checked)} />
          ${t('config.advanced')}
        </label>
      </div>
      ${shown.length
        ? html`<div class="card">${repeat(shown, keyOf, (field) => this.#setting(field))}</div>`
        : html`<p class="card soft">${searching ? t('config.noMatch', {text: this.text}) : t('config.empty')}</p>`}
      ${this.edits.size ? this.#bar() : nothing}`;
  }

  /**
   * @param {import('./config-form.js').Field} field
   * @param {boolean} searching
   */
  #fits(field, searching) {
    if (!searching) return this.advanced || !field.advanced || this.edits.has(keyOf(field));
    return fits(this.text, `${keyOf(field)} ${field.label} ${field.help}`);
  }

  /** @param {import('./config-form.js').Field} field what the file says; what counts without it is only a hint */
  #stored(field) {
    const {snapshot} = this.stores.config.state;
    return valueAt(snapshot?.parsed ?? snapshot?.config, field.path);
  }

  /** @param {import('./config-form.js').Field} field */
  #setting(field) {
    const key = keyOf(field);
    const edit = this.edits.get(key);
    const stored = this.#stored(field);
    const text = edit?.text ?? shownValue(field, stored);
    const wrong = edit ? typedValue(field, edit.text).wrong : '';
    return html`<div class="setting ${edit ? 'changed' : ''}">
      <div>
        <label for=${key}>${field.label}</label>
        <div><code>${key}</code></div>
      </div>
      <div class="value">
        ${this.#input(field, key, text, stored)}
        ${wrong ? html`<p class="wrong" role="alert">${t(`config.${wrong}`)}</p>` : nothing}
        ${field.help ? html`<p class="soft small">${field.help}</p>` : nothing}
      </div>
    </div>`;
  }

  /**
   * @param {import('./config-form.js').Field} field
   * @param {string} key
   * @param {string} text
   * @param {unknown} stored
   */
  #input(field, key, text, stored) {
    const typed = (/** @type {any} */ event) => this.#typed(field, event.target.value);
    const fallback = field.fallback === undefined || field.fallback === null ? t('config.default') : t('config.defaultIs', {value: word(field.fallback)});
    if (field.kind === 'boolean' || field.kind === 'choice') {
      const options = field.kind === 'boolean' ? [['true', t('config.yes')], ['false', t('config.no')]] : field.options.map((one) => [one, one]);
      return html`<select id=${key} .value=${live(text)} @change=${typed}>
        <option value="" ?selected=${text === ''}>${fallback}</option>
        ${options.map(([value, name]) => html`<option value=${value} ?selected=${text === value}>${name}</option>`)}
      </select>`;
    }
    if (field.secret) {
      const hint = stored === REDACTED ? t('config.secret') : t('config.secretUnset');
      return html`<input id=${key} type="password" autocomplete="off" placeholder=${hint} .value=${live(text)} @input=${typed} />`;
    }
    if (field.kind === 'list' || field.kind === 'json') {
      const rows = Math.min(12, Math.max(2, text.split('\n').length));
      const hint = field.kind === 'list' ? t('config.listHint') : t('config.jsonHint');
      return html`<textarea id=${key} class="code" rows=${rows} spellcheck="false" placeholder=${hint} .value=${live(text)} @input=${typed}></textarea>`;
    }
    const numeric = field.kind === 'number' ? 'decimal' : 'text';
    return html`<input id=${key} inputmode=${numeric} autocomplete="off" spellcheck="false" placeholder=${field.placeholder || fallback} .value=${live(text)} @input=${typed} />`;
  }

  /**
   * @param {import('./config-form.js').Field} field
   * @param {string} text
   */
  #typed(field, text) {
    if (!this.edits.size) this.#base = this.stores.config.hash;
    const edits = new Map(this.edits);
    if (text === shownValue(field, this.#stored(field))) edits.delete(keyOf(field));
    else edits.set(keyOf(field), {field, text});
    this.edits = edits;
  }

  #bar() {
    const {config, gateway} = this.stores;
    const wrong = [...this.edits.values()].some(({field, text}) => typedValue(field, text).wrong);
    const busy = config.state.busy.size > 0;
    return html`<div class="row bar" role="status">
      <span class="small">${t('config.changed', {n: this.edits.size})}</span>
      <div class="row">
        <button ?disabled=${busy} @click=${this.revert}>${t('config.revert')}</button>
        <button class="main" ?disabled=${busy || wrong || !gateway.canAsk} @click=${this.#save}>${t('config.saveAll')}</button>
      </div>
    </div>`;
  }

  /** Back to what the gateway has. */
  revert() {
    this.edits = new Map();
  }

  async #save() {
    const patch = patchOf([...this.edits.values()].map(({field, text}) => [field.path, typedValue(field, text).value]));
    if (await this.stores.config.save({method: 'config.patch', raw: JSON.stringify(patch), baseHash: this.#base})) this.revert();
  }
}

/** @param {import('./config-form.js').Field} field */
const keyOf = ({path}) => path.join('.');

/** @param {unknown} value */
function word(value) {
  if (value === true) return t('config.yes');
  if (value === false) return t('config.no');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

customElements.define('oc-config-form', ConfigForm);
