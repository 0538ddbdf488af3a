/** `<oc-left>`: how much time is left, counted down. */

import {Localized, t} from './i18n.js';

/** With less than this left it is shown as urgent. */
const URGENT_MS = 60_000;

export class TimeLeft extends Localized {
  static properties = {until: {attribute: false}, now: {attribute: false}, over: {}, urgent: {type: Boolean, reflect: true}};

  #timer = 0;

  constructor() {
    super();
    this.until = 0;
    /** @type {() => number} the clock by which `until` was set */
    this.now = Date.now;
    this.over = '';
    this.urgent = false;
  }

  connectedCallback() {
    super.connectedCallback();
    this.#timer = setInterval(() => this.requestUpdate(), 1000);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  willUpdate() {
    this.urgent = this.until - this.now() < URGENT_MS;
  }

  render() {
    const seconds = Math.ceil((this.until - this.now()) / 1000);
    if (seconds <= 0) return this.over;
    if (seconds < 60) return t('approvals.leftSeconds', {s: seconds});
    return t('approvals.leftMinutes', {m: Math.floor(seconds / 60), s: seconds % 60});
  }
}

customElements.define('oc-left', TimeLeft);
