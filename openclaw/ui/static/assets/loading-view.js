/** `<oc-loading>`: the first handshake is under way. */

import {centred, common} from './styles.js';
import {LitElement, css, html} from './vendor/lit.js';

export class LoadingView extends LitElement {
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
    return html`<p role="status">Connecting to the gateway…</p>`;
  }
}

customElements.define('oc-loading', LoadingView);
