/** `<oc-offline>`: the gateway does not answer, and never did since the page was opened. */

import './retry-countdown.js';
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
      <h1>${restarting ? 'The gateway is restarting' : 'The gateway does not answer'}</h1>
      <p class="soft">
        ${restarting
          ? 'It said that it comes back. The page connects by itself.'
          : 'It may be stopped, or the network between here and there is down. The page keeps trying.'}
      </p>
      ${detail && !restarting ? html`<p class="note mono">${detail}</p>` : nothing}
      <div class="row">
        <button class="main" @click=${() => this.stores.connection.retryNow()}>Try now</button>
        <oc-countdown class="soft small" .at=${retryAt}></oc-countdown>
      </div>
    </div>`;
  }
}

customElements.define('oc-offline', OfflineView);
