/** `<oc-loading>`: the first handshake is under way. */

import {Localized, t} from './i18n.js';
import {centred, common} from './styles.js';
import {css, html} from './vendor/lit.js';

export class LoadingView extends Localized {
  static styles = [
    common,
    centred,
    css`
      p {
        margin: auto;
        color: var(--ink-soft);
        /* A connection that is there at once should not flash this. */
        animation: appear 0.3s 0.25s both;
      }
      @keyframes appear {
        from {
          opacity: 0;
        }
      }
    `,
  ];

  render() {
    return html`<p role="status">${t('connect.connectingTo')}</p>`;
  }
}

customElements.define('oc-loading', LoadingView);
