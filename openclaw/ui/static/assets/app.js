/** `<openclaw-app>`: the frame around the views, and which view a state of the connection gets. */

import './denied-view.js';
import './loading-view.js';
import './login-view.js';
import './offline-view.js';
import './overview-view.js';
import './pairing-view.js';
import './devices-view.js';
import './retry-countdown.js';
import {brandIcon, chatIcon, devicesIcon, moonIcon, outIcon, overviewIcon, sunIcon, systemIcon} from './icons.js';
import {address, readRoute} from './route.js';
import {common} from './styles.js';
import {chooseTheme, nextTheme, theme} from './theme.js';
import {css, html, nothing} from './vendor/lit.js';
import {View} from './view.js';

const NAMES = {chat: 'Chat', overview: 'Overview', devices: 'Devices'};
const ICONS = {chat: chatIcon, overview: overviewIcon, devices: devicesIcon};
const THEMES = {
  system: {icon: systemIcon, word: 'as the system'},
  light: {icon: sunIcon, word: 'light'},
  dark: {icon: moonIcon, word: 'dark'},
};

const RELOAD_AFTER_MS = 2000;

export class App extends View {
  static watches = /** @type {const} */ (['gateway', 'devices', 'sessions']);
  static properties = {obstacle: {state: true}, chatLoaded: {state: true}};

  static styles = [
    common,
    css`
      :host {
        display: grid;
        grid-template: auto auto minmax(0, 1fr) / minmax(0, 1fr);
        height: 100%;
        min-height: 0;
      }
      header {
        display: flex;
        align-items: center;
        gap: 20px;
        min-height: 56px;
        padding: 0 20px;
        border-bottom: 1px solid var(--line);
        background: var(--surface);
      }
      .brand {
        display: flex;
        align-items: center;
        gap: 10px;
        font-weight: 650;
        letter-spacing: -0.01em;
      }
      nav {
        display: flex;
        gap: 4px;
      }
      nav a {
        position: relative;
        display: flex;
        align-items: center;
        gap: 8px;
        min-height: 36px;
        padding: 0 12px;
        border-radius: 8px;
        color: var(--ink-soft);
        font-size: 0.92rem;
        font-weight: 550;
        text-decoration: none;
      }
      nav a:hover {
        background: var(--sunken);
        color: var(--ink);
      }
      nav a[aria-current] {
        background: var(--accent-wash);
        color: var(--accent);
      }
      .count {
        min-width: 18px;
        padding: 0 5px;
        border-radius: 9px;
        background: var(--warn);
        color: var(--surface);
        font-size: 0.75rem;
        font-weight: 650;
        line-height: 18px;
        text-align: center;
      }
      .end {
        display: flex;
        align-items: center;
        gap: 4px;
        margin-left: auto;
      }
      .status {
        margin-right: 8px;
      }
      .status i {
        width: 7px;
        height: 7px;
        border-radius: 50%;
        background: currentColor;
      }
      .skip {
        position: absolute;
        top: 8px;
        left: 8px;
        z-index: 2;
        padding: 10px 16px;
        border-radius: 8px;
        background: var(--accent);
        color: var(--accent-ink);
      }
      .skip:not(:focus) {
        clip-path: inset(50%);
      }
      .banner {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: center;
        gap: 4px 16px;
        padding: 6px 20px;
        background: var(--warn-wash);
        color: var(--warn);
        font-size: 0.9rem;
        font-weight: 550;
      }
      .banner button {
        min-height: 30px;
        padding: 0 10px;
        border-color: currentColor;
        background: none;
        color: inherit;
        font-size: 0.85rem;
      }
      .banner {
        grid-row: 2;
      }
      main {
        grid-row: 3;
        min-height: 0;
        overflow: hidden;
      }
      main:focus {
        outline: none;
      }
      @media (max-width: 640px) {
        :host {
          grid-template-rows: auto auto minmax(0, 1fr) auto;
        }
        header {
          min-height: 52px;
          padding: 0 8px 0 14px;
        }
        nav {
          grid-row: 4;
          justify-content: space-around;
          padding: 4px 8px calc(4px + env(safe-area-inset-bottom));
          border-top: 1px solid var(--line);
          background: var(--surface);
        }
        nav a {
          flex: 1;
          flex-direction: column;
          justify-content: center;
          gap: 2px;
          min-height: 48px;
          font-size: 0.75rem;
        }
        nav .count {
          position: absolute;
          top: 4px;
          left: calc(50% + 8px);
        }
        .status {
          margin-right: 0;
        }
      }
      @media (max-width: 380px) {
        .brand span {
          display: none;
        }
      }
    `,
  ];

  #loading = false;

  constructor() {
    super();
    /** @type {string} why this browser cannot have a device key */
    this.obstacle = '';
    this.chatLoaded = false;
    this.narrow = matchMedia('(max-width: 640px)');
    this.narrow.addEventListener('change', () => this.requestUpdate());
    this.addEventListener('sign-out', () => this.#signOut());
    addEventListener('hashchange', () => this.#navigated());
  }

  #navigated() {
    const {view, session} = readRoute(location.hash);
    if (view === 'chat') this.stores?.sessions.show(session);
    this.requestUpdate();
    this.updateComplete.then(() => {
      const heading = this.renderRoot.querySelector('main > *')?.shadowRoot?.querySelector('h1');
      if (view !== 'chat') heading?.focus();
    });
  }

  updated() {
    const {view} = readRoute(location.hash);
    const waiting = this.stores?.devices.state.pending?.length ?? 0;
    document.title = `${waiting ? `(${waiting}) ` : ''}${this.#inside ? `${NAMES[view]} · ` : ''}OpenClaw`;
  }

  /** Whether the page has been let in since it was opened, and may show what it knows. */
  get #inside() {
    const {connection, hello} = this.stores?.gateway.state ?? {};
    return Boolean(hello) && (connection?.phase === 'ready' || connection?.phase === 'offline');
  }

  render() {
    return html`
      <header>
        <a class="skip" href="#main" @click=${this.#skip}>Skip to content</a>
        <span class="brand">${brandIcon} <span>OpenClaw</span></span>
        ${this.#inside && !this.narrow.matches ? this.#nav() : nothing}
        <div class="end">${this.#status()} ${this.#themeButton()} ${this.#signOutButton()}</div>
      </header>
      ${this.#banner()}
      <main id="main" tabindex="-1">${this.obstacle ? html`<oc-denied .kind=${this.obstacle}></oc-denied>` : this.#view()}</main>
      ${this.#inside && this.narrow.matches ? this.#nav() : nothing}
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
    if (view === 'overview') return html`<oc-overview .stores=${this.stores}></oc-overview>`;
    if (view === 'devices') return html`<oc-devices .stores=${this.stores}></oc-devices>`;
    if (this.chatLoaded) return html`<oc-chat .stores=${this.stores}></oc-chat>`;
    this.#loadChat();
    return html`<oc-loading></oc-loading>`;
  }

  /** The chat brings the Markdown libraries along; whoever only approves a device need not wait for them. */
  async #loadChat() {
    if (this.#loading) return;
    this.#loading = true;
    try {
      await import('./chat-view.js');
      this.chatLoaded = true;
    } catch {
      setTimeout(() => this.requestUpdate(), RELOAD_AFTER_MS);
    } finally {
      this.#loading = false;
    }
  }

  #nav() {
    const {view} = readRoute(location.hash);
    const waiting = this.stores.devices.state.pending?.length ?? 0;
    const {current, mainKey} = this.stores.sessions.state;
    return html`<nav aria-label="Main">
      ${/** @type {const} */ (['chat', 'overview', 'devices']).map(
        (name) => html`<a
          href=${address(name, name === 'chat' && current !== mainKey ? current : '')}
          aria-current=${name === view ? 'page' : nothing}
        >
          ${ICONS[name]} ${NAMES[name]}
          ${name === 'devices' && waiting ? html`<span class="count" aria-label="${waiting} waiting">${waiting}</span>` : nothing}
        </a>`,
      )}
    </nav>`;
  }

  #status() {
    const phase = this.stores?.gateway.state.connection.phase;
    if (phase === 'ready') return html`<span class="tag good status"><i></i>connected</span>`;
    if (phase === 'offline' || phase === 'connecting') return html`<span class="tag warn status"><i></i>not connected</span>`;
    return nothing;
  }

  #banner() {
    const connection = this.stores?.gateway.state.connection;
    if (!this.#inside || connection?.phase !== 'offline') return nothing;
    return html`<div class="banner" role="status">
      ${connection.restarting ? 'The gateway is restarting.' : 'The connection is lost.'}
      <oc-countdown aria-hidden="true" .at=${connection.retryAt}></oc-countdown>
      <button @click=${() => this.stores.connection.retryNow()}>Try now</button>
    </div>`;
  }

  #themeButton() {
    const present = THEMES[theme()];
    const next = THEMES[nextTheme()];
    return html`<button
      class="bare square"
      title="Colours: ${present.word}"
      aria-label="Colours: ${present.word}. Change to ${next.word}"
      @click=${this.#changeTheme}
    >
      ${present.icon}
    </button>`;
  }

  #signOutButton() {
    if (!this.#inside) return nothing;
    return html`<button class="bare square" title="Sign out" aria-label="Sign out" @click=${this.#signOut}>${outIcon}</button>`;
  }

  #changeTheme() {
    chooseTheme(nextTheme());
    this.requestUpdate();
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
