/** `<oc-agent>`: what the assistant is told every time, as files to edit, and the skills it has. */

import './agent-file.js';
import './confirm-dialog.js';
import {ago} from './format.js';
import {known, t} from './i18n.js';
import {pageHead, refreshButton} from './page-parts.js';
import {outcome, whenReady} from './page-state.js';
import {parts} from './styles-parts.js';
import {common, page} from './styles.js';
import {css, html, nothing, repeat} from './vendor/lit.js';
import {visible} from './visible-text.js';
import {Page} from './view.js';

export class AgentView extends Page {
  static watches = /** @type {const} */ (['agent', 'gateway']);
  static reads = /** @type {any} */ (['agent']);

  static styles = [
    common,
    page,
    parts,
    css`
      li[aria-current] h3 {
        color: var(--accent);
      }
    `,
  ];

  render() {
    const {agent, gateway} = this.stores;
    return html`<div class="page">
        ${pageHead(t('app.agent'), {
          below: html`<p class="soft small">${t('agent.text')}</p>`,
          actions: refreshButton(() => agent.reload(), gateway.canAsk),
        })}
        ${outcome(agent)} ${whenReady(agent, () => html`${this.#files()} ${this.#skills()}`)}
      </div>
      <oc-confirm></oc-confirm>`;
  }

  #files() {
    const {files, workspace, file} = this.stores.agent.state;
    return html`<section aria-labelledby="files">
      <div>
        <h2 id="files">${t('agent.files')}</h2>
        <p class="soft small mono">${workspace}</p>
      </div>
      ${file ? html`<oc-agent-file .stores=${this.stores} @close=${this.#close}></oc-agent-file>` : nothing}
      <ul class="card lines">
        ${repeat(files, ({name}) => name, (one) => this.#file(one, one.name === file?.name))}
      </ul>
    </section>`;
  }

  /**
   * @param {any} file
   * @param {boolean} open
   */
  #file({name, missing, size, updatedAtMs}, open) {
    const what = `agent.is-${name.replace('.md', '')}`;
    return html`<li aria-current=${open ? 'true' : nothing}>
      <div class="grow">
        <h3>${name}</h3>
        <p class="soft small">${known(what) ? t(what) : nothing}</p>
        <p class="soft small">${missing ? t('agent.missing') : t('agent.sizeAndAge', {n: size, when: ago(updatedAtMs)})}</p>
      </div>
      <button aria-label="${t('app.edit')}: ${name}" ?disabled=${open || !this.stores.gateway.canAsk} @click=${() => this.#open(name)}>
        ${t('app.edit')}
      </button>
    </li>`;
  }

  get #editor() {
    return /** @type {import('./agent-file.js').AgentFile | null} */ (this.renderRoot.querySelector('oc-agent-file'));
  }

  /** What was typed is not thrown away by opening something else. */
  async #mayLeave() {
    if (!this.#editor?.changed) return true;
    return this.sure({title: t('agent.sureDiscard'), text: t('agent.discardText'), action: t('config.revert')});
  }

  /** @param {string} name */
  async #open(name) {
    if (!(await this.#mayLeave())) return;
    await this.stores.agent.show(name);
    await this.updateComplete;
    this.#editor?.begin();
  }

  async #close() {
    if (await this.#mayLeave()) this.stores.agent.hide();
  }

  #skills() {
    const {skills} = this.stores.agent.state;
    if (!skills) return nothing;
    return html`<section aria-labelledby="skills">
      <div>
        <h2 id="skills">${t('agent.skills')}</h2>
        <p class="soft small">${t('agent.skillsText')}</p>
      </div>
      ${skills.length
        ? html`<ul class="card lines">${repeat(skills, ({baseDir}) => baseDir, skill)}</ul>`
        : html`<p class="card soft">${t('agent.noSkills')}</p>`}
    </section>`;
  }
}

/** @param {any} found */
function skill({name, description, source, filePath, eligible, disabled, missing}) {
  const lacks = Object.values(missing ?? {}).flat();
  const state = !eligible ? 'blocked' : disabled ? 'hidden' : 'ready';
  return html`<li>
    <div class="grow">
      <h3>${name}</h3>
      <p class="small">${visible(description ?? '')}</p>
      ${lacks.length ? html`<p class="small wrong">${t('agent.lacks', {what: lacks.join(', ')})}</p>` : nothing}
      <p class="soft small mono">${filePath}</p>
    </div>
    <span class="soft small">${t(source === 'openclaw-workspace' ? 'agent.own' : 'agent.shared')}</span>
    <span class="tag ${{blocked: 'bad', hidden: '', ready: 'good'}[state]}">${t(`agent.${state}`)}</span>
  </li>`;
}

customElements.define('oc-agent', AgentView);
