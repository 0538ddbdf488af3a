/** Observable state, and how a component follows it. */

/** @template {object} S */
export class Store {
  /** @type {Set<() => void>} */
  #watchers = new Set();

  /** @param {S} initial */
  constructor(initial) {
    /** @type {Readonly<S>} */
    this.state = initial;
  }

  /**
   * Lay a change over the state and tell everybody who watches.
   * @param {Partial<S>} change
   */
  set(change) {
    this.state = {...this.state, ...change};
    for (const watcher of [...this.#watchers]) watcher();
  }

  /**
   * @param {() => void} watcher
   * @returns {() => void} stops watching
   */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** Re-renders its host whenever one of the stores changes, for as long as the host is in the page. */
export class Watch {
  /** @type {Array<() => void>} */
  #stops = [];

  /**
   * @param {import('./vendor/lit.js').LitElement} host
   * @param {...Store<any>} stores
   */
  constructor(host, ...stores) {
    this.host = host;
    this.stores = stores;
    host.addController(this);
  }

  hostConnected() {
    this.#stops = this.stores.map((store) => store.watch(() => this.host.requestUpdate()));
    this.host.requestUpdate();
  }

  hostDisconnected() {
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }
}
