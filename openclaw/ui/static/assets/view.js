/** What every view is: a component that is given the stores and follows some of them. */

import {Localized} from './i18n.js';
import {Watch} from './store.js';

/**
 * @typedef {object} Stores
 * @property {import('./connection.js').Connection} connection
 * @property {import('./gateway-store.js').GatewayStore} gateway
 * @property {import('./sessions-store.js').SessionsStore} sessions
 * @property {import('./chat-store.js').ChatStore} chats
 * @property {import('./devices-store.js').DevicesStore} devices
 * @property {import('./approvals-store.js').ApprovalsStore} approvals
 * @property {import('./allowlist-store.js').AllowlistStore} allowlist
 * @property {import('./channels-store.js').ChannelsStore} channels
 * @property {import('./models-store.js').ModelsStore} models
 * @property {import('./cron-store.js').CronStore} cron
 * @property {import('./logs-store.js').LogsStore} logs
 * @property {import('./config-store.js').ConfigStore} config
 * @property {import('./credentials-store.js').CredentialsStore} credentials
 * @property {import('./posts-store.js').PostsStore} posts
 * @property {import('./agent-store.js').AgentStore} agent
 * @property {import('./usage-store.js').UsageStore} usage
 */

export class View extends Localized {
  /** @type {Record<string, object>} */
  static properties = {stores: {attribute: false}};

  /** @type {readonly Exclude<keyof Stores, 'connection'>[]} which stores re-render it */
  static watches = [];

  /** @type {Watch | null} */
  #watch = null;

  constructor() {
    super();
    /** @type {Stores} */
    this.stores = /** @type {any} */ (null);
  }

  willUpdate() {
    if (this.#watch || !this.stores) return;
    const {watches} = /** @type {typeof View} */ (this.constructor);
    this.#watch = new Watch(this, ...watches.map((name) => this.stores[name]));
  }

  /**
   * Ask before something that cannot be taken back; the view has an `<oc-confirm>` in it.
   * @param {import('./confirm-dialog.js').Question} question
   */
  sure(question) {
    const dialog = /** @type {import('./confirm-dialog.js').ConfirmDialog} */ (this.renderRoot.querySelector('oc-confirm'));
    return dialog.ask(question);
  }
}

/** What has just appeared under somebody's pointer cannot be pressed yet. */
const ARMED_AFTER_MS = 500;

/** A part that asks for a decision; its buttons wait until a person can have seen what they are about. */
export class Decision extends View {
  static properties = {armed: {state: true}};

  /** @type {Set<Decision>} all that are on screen */
  static #shown = new Set();
  #timer = 0;

  constructor() {
    super();
    this.armed = false;
  }

  connectedCallback() {
    super.connectedCallback();
    Decision.#moved(this);
    Decision.#shown.add(this);
    this.#arm();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    Decision.#shown.delete(this);
    Decision.#moved(this);
  }

  #arm() {
    clearTimeout(this.#timer);
    this.armed = false;
    this.#timer = setTimeout(() => (this.armed = true), ARMED_AFTER_MS);
  }

  /**
   * One came or went, so that the others may have moved under the pointer. Who is at one by keyboard stays there.
   * @param {Decision} cause
   */
  static #moved(cause) {
    for (const one of Decision.#shown) {
      if (one !== cause && !one.renderRoot.querySelector(':focus-visible')) one.#arm();
    }
  }
}

/** A page that reads one store while it is on screen. */
export class Page extends View {
  /** @type {Exclude<keyof Stores, 'connection'>[]} the stores that are read while it is shown */
  static reads = [];

  connectedCallback() {
    super.connectedCallback();
    this.updateComplete.then(() => this.isConnected && this.#each((store) => store.open()));
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#each((store) => store.close());
  }

  /** @param {(store: import('./remote-store.js').RemoteStore<any>) => void} act */
  #each(act) {
    for (const name of /** @type {typeof Page} */ (this.constructor).reads) act(/** @type {any} */ (this.stores)[name]);
  }
}
