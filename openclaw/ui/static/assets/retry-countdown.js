/** `<oc-countdown>`: how long until the next attempt. */

import {Localized, t} from './i18n.js';

export class RetryCountdown extends Localized {
  static properties = {at: {attribute: false}};

  #timer = 0;

  constructor() {
    super();
    /** @type {number | null} Unix milliseconds; null while an attempt is under way */
    this.at = null;
  }

  connectedCallback() {
    super.connectedCallback();
    this.#timer = setInterval(() => this.requestUpdate(), 500);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  render() {
    const seconds = this.at === null ? 0 : Math.ceil((this.at - Date.now()) / 1000);
    return seconds > 0 ? t('app.nextAttempt', {n: seconds}) : t('app.connecting');
  }
}

customElements.define('oc-countdown', RetryCountdown);
