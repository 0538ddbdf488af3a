/** What a page shows while its data is not there: still reading, no connection, no right, no such method, failed. */

import {scopeName} from './format.js';
import {t} from './i18n.js';
import {deniedIcon, offlineIcon} from './icons.js';
import {html, nothing} from './vendor/lit.js';

/**
 * @param {import('./remote-store.js').RemoteStore<any>} store
 * @param {() => unknown} draw
 */
export function whenReady(store, draw) {
  const {ready, trouble} = store.state;
  if (trouble) return troubleCard(trouble, () => store.reload());
  if (ready) return draw();
  if (store.connection.state.phase !== 'ready') return stateCard(offlineIcon, t('app.offlineTitle'), t('app.offlineText'));
  return html`<div class="skeleton" role="status"><span class="unseen">${t('app.loading')}</span><i></i><i></i><i></i></div>`;
}

/**
 * @param {import('./remote-store.js').Trouble} trouble
 * @param {() => void} again
 */
export function troubleCard({kind, message, scope}, again) {
  if (kind === 'denied') return stateCard(deniedIcon, t('app.deniedTitle'), t('app.deniedText', {scope: scopeName(scope)}));
  if (kind === 'absent') return stateCard(deniedIcon, t('app.absentTitle'), t('app.absentText'));
  return stateCard(deniedIcon, t('app.failedTitle'), message, html`<button @click=${again}>${t('app.tryAgain')}</button>`);
}

/**
 * @param {unknown} icon
 * @param {string} title
 * @param {unknown} text
 * @param {unknown} [action]
 */
export const stateCard = (icon, title, text, action = nothing) =>
  html`<div class="card state" role="status">${icon}<h2>${title}</h2><p class="soft">${text}</p>${action}</div>`;

/**
 * What the last action of a store did, or why it failed.
 * @param {import('./remote-store.js').RemoteStore<any>} store
 */
export const outcome = (store) => html`
  ${store.state.error ? html`<p class="note bad" role="alert">${store.state.error}</p>` : nothing}
  <div class="unseen" aria-live="polite">${store.state.said}</div>
`;
