/** `<oc-offline>`: the gateway does not answer, and never did since the page was opened. */

import './retry-countdown.js';
import {t} from './i18n.js';
import {offlineIcon} from './icons.js';
import {centred, common} from './styles.js';
import {html, nothing} from './vendor/lit.js';
import {View} from './view.js';

export class OfflineView extends View {
  static watches = /** @type {const} */ (['gateway']);
  static styles = [common, centred];

  render() {
    const {restarting, retryAt, detail} = this.stores.gateway.state.connection;
    return html`<div class="card">
      <div class="glyph">${offlineIcon}</div>
      <h1>${restarting ? t('connect.offRestartTitle') : t('connect.offTitle')}</h1>
      <p class="soft">
        ${restarting
          ? t('connect.offRestartText')
          : t('connect.offText')}
      </p>
      ${detail && !restarting ? html`<p class="note mono">${detail}</p>` : nothing}
      <div class="row">
        <button class="main" @click=${() => this.stores.connection.retryNow()}>${t('app.tryNow')}</button>
        <oc-countdown class="soft small" .at=${retryAt}></oc-countdown>
      </div>
    </div>`;
  }
}

customElements.define('oc-offline', OfflineView);
