/** `<openclaw-app>`: the frame around the views, and which view a state of the connection gets. */

import './denied-view.js';
import './loading-view.js';
import './login-view.js';
import './navigation.js';
import './offline-view.js';
import './pairing-view.js';
import './retry-countdown.js';
import './shortcuts-dialog.js';
import {frame} from './app-styles.js';
import {LANGUAGES, chooseLanguage, speech, t} from './i18n.js';
import {brandIcon, keysIcon, languageIcon, moonIcon, outIcon, sunIcon, systemIcon} from './icons.js';
import {shortcuts} from './keys.js';
import {PAGES} from './pages.js';
import {address, readRoute} from './route.js';
import {common} from './styles.js';
import {chooseTheme, nextTheme, theme} from './theme.js';
import {html, nothing} from './vendor/lit.js';
import {View} from './view.js';
import {SOURCES, whatWaits} from './waiting.js';

const THEMES = {
  system: {icon: systemIcon, word: 'app.themeSystem'},
  light: {icon: sunIcon, word: 'app.themeLight'},
  dark: {icon: moonIcon, word: 'app.themeDark'},
};

const RELOAD_AFTER_MS = 2000;

export class App extends View {
  static watches = /** @type {const} */ (['gateway', ...SOURCES]);
  static properties = {obstacle: {state: true}, loaded: {state: true}};
  static styles = [common, frame];

  #loading = '';
  #arriving = false;

  constructor() {
    super();
    /** @type {string} why this browser cannot have a device key */
    this.obstacle = '';
    /** @type {ReadonlySet<string>} pages whose module is here */
    this.loaded = new Set();
    this.narrow = matchMedia('(max-width: 760px)');
    this.narrow.addEventListener('change', () => this.requestUpdate());
    this.addEventListener('sign-out', () => this.#signOut());
    this.addEventListener('help', () => this.#help());
    addEventListener('hashchange', () => this.#navigated());
    addEventListener('keydown', shortcuts({go: (letter) => this.#go(letter), help: () => this.#help(), find: () => this.#find()}));
  }

  #navigated() {
    const {view, session} = readRoute(location.hash);
    if (view === 'chat') this.stores?.sessions.show(session);
    this.#arriving = view !== 'chat';
    this.requestUpdate();
  }

  /** Whoever navigates by keyboard or hears the page goes on at its heading, as soon as it is there. */
  async #arrive() {
    const page = /** @type {any} */ (this.#page);
    if (!this.#arriving || !page || page.localName === 'oc-loading') return;
    this.#arriving = false;
    await page.updateComplete;
    page.shadowRoot?.querySelector('h1')?.focus();
  }

  get #page() {
    return this.renderRoot.querySelector('main > *');
  }

  updated() {
    this.#arrive();
    const {view} = readRoute(location.hash);
    document.title = `${this.#waiting ? `(${this.#waiting}) ` : ''}${this.#inside ? `${t(`app.${view}`)} · ` : ''}OpenClaw`;
  }

  /** How many things wait for a person. */
  get #waiting() {
    return this.#inside ? whatWaits(this.stores).length : 0;
  }

  /** Whether the page has been let in since it was opened, and may show what it knows. */
  get #inside() {
    const {connection, hello} = this.stores?.gateway.state ?? {};
    return Boolean(hello) && (connection?.phase === 'ready' || connection?.phase === 'offline');
  }

  render() {
    const inside = this.#inside;
    const wide = inside && !this.narrow.matches;
    const {view} = readRoute(location.hash);
    return html`
      <header class=${wide ? 'side' : ''}>
        <a class="skip" href="#main" @click=${this.#skip}>${t('app.skip')}</a>
        <span class="brand">${brandIcon} <span>OpenClaw</span></span>
        ${wide ? html`<oc-navigation .stores=${this.stores} .current=${view}></oc-navigation>` : nothing}
        <div class="end">
          ${this.#status()}
          <div class="buttons">${inside && !wide ? nothing : this.#tools(inside)}</div>
        </div>
      </header>
      ${this.#banner()}
      <main id="main" tabindex="-1">${this.obstacle ? html`<oc-denied .kind=${this.obstacle}></oc-denied>` : this.#view()}</main>
      ${inside && !wide
        ? html`<oc-navigation .stores=${this.stores} .current=${view} narrow><div class="buttons">${this.#tools(inside)}</div></oc-navigation>`
        : nothing}
      <div class="unseen" role="status">${this.#waiting ? t('app.waiting', {n: this.#waiting}) : nothing}</div>
      ${inside ? html`<oc-shortcuts></oc-shortcuts>` : nothing}
    `;
  }

  #view() {
    if (!this.stores) return html`<oc-loading></oc-loading>`;
    const {connection} = this.stores.gateway.state;
    if (this.#inside) return this.#inner();
    if (connection.phase === 'pairing') return html`<oc-pairing .stores=${this.stores}></oc-pairing>`;
    if (connection.phase === 'offline') return html`<oc-offline .stores=${this.stores}></oc-offline>`;
    if (connection.phase !== 'refused') return html`<oc-loading></oc-loading>`;
    if (connection.refusal?.kind === 'login') return html`<oc-login .stores=${this.stores}></oc-login>`;
    return html`<oc-denied .stores=${this.stores}></oc-denied>`;
  }

  #inner() {
    const {view} = readRoute(location.hash);
    if (this.loaded.has(view)) return PAGES[view].draw(this.stores);
    this.#load(view);
    return html`<oc-loading></oc-loading>`;
  }

  /** @param {import('./route.js').ViewName} view whoever only approves a device need not wait for the other pages */
  async #load(view) {
    if (this.#loading === view) return;
    this.#loading = view;
    try {
      await PAGES[view].load();
      this.loaded = new Set([...this.loaded, view]);
    } catch {
      setTimeout(() => this.requestUpdate(), RELOAD_AFTER_MS);
    } finally {
      this.#loading = '';
    }
  }

  #status() {
    const phase = this.stores?.gateway.state.connection.phase;
    if (phase === 'ready') return html`<span class="tag good status"><i></i>${t('app.connected')}</span>`;
    if (phase === 'offline' || phase === 'connecting') return html`<span class="tag warn status"><i></i>${t('app.notConnected')}</span>`;
    return nothing;
  }

  #banner() {
    const connection = this.stores?.gateway.state.connection;
    if (!this.#inside || connection?.phase !== 'offline') return nothing;
    return html`<div class="banner" role="status">
      ${connection.restarting ? t('app.restarting') : t('app.lost')}
      <oc-countdown aria-hidden="true" .at=${connection.retryAt}></oc-countdown>
      <button @click=${() => this.stores.connection.retryNow()}>${t('app.tryNow')}</button>
    </div>`;
  }

  /** @param {boolean} inside */
  #tools(inside) {
    const present = THEMES[theme()];
    const word = t(present.word);
    const colours = t('app.themeNext', {word, next: t(THEMES[nextTheme()].word)});
    return html`
      <button class="bare square" title=${t('app.theme', {word})} aria-label=${colours} @click=${this.#changeTheme}>${present.icon}</button>
      <button class="bare square" title=${t('app.language')} aria-label=${t('app.language')} @click=${this.#changeLanguage}>${languageIcon}</button>
      ${inside
        ? html`<button class="bare square" title="${t('app.shortcuts')} (?)" aria-label=${t('app.shortcuts')} @click=${this.#help}>${keysIcon}</button>
            <button class="bare square" title=${t('app.signOut')} aria-label=${t('app.signOut')} @click=${this.#signOut}>${outIcon}</button>`
        : nothing}
    `;
  }

  #changeTheme() {
    chooseTheme(nextTheme());
    this.requestUpdate();
  }

  #changeLanguage() {
    const next = LANGUAGES.find((language) => language !== speech.state.language);
    if (next) chooseLanguage(next);
  }

  /** @param {string} letter */
  #go(letter) {
    const found = Object.entries(PAGES).find(([, page]) => page.letter === letter)?.[0];
    if (found && this.#inside) location.hash = address(/** @type {import('./route.js').ViewName} */ (found));
  }

  #help() {
    /** @type {import('./shortcuts-dialog.js').ShortcutsDialog | null} */ (this.renderRoot.querySelector('oc-shortcuts'))?.open();
  }

  #find() {
    const page = /** @type {any} */ (this.#page);
    if (page?.composer) page.composer.focus();
    else page?.shadowRoot?.querySelector('input[type="search"]')?.focus();
  }

  #signOut() {
    const {connection} = this.stores;
    connection.stop();
    connection.credentials.forgetAll();
    // Whoever signs in next must not find what was on screen before: nothing of it survives a reload.
    location.reload();
  }

  /** @param {Event} event the address must stay: the view is in it */
  #skip(event) {
    event.preventDefault();
    /** @type {HTMLElement} */ (this.renderRoot.querySelector('main')).focus();
  }
}

customElements.define('openclaw-app', App);
