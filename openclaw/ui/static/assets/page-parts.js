/** What most pages begin with: their head, the button that reads again, the field that narrows a list. */

import {t} from './i18n.js';
import {refreshIcon} from './icons.js';
import {html, nothing} from './vendor/lit.js';

/**
 * @param {string} title
 * @param {{below?: unknown, actions?: unknown}} [more] a line under the title, and what stands at the other end
 */
export const pageHead = (title, {below = nothing, actions = nothing} = {}) =>
  html`<header>
    <div>
      <h1 tabindex="-1">${title}</h1>
      ${below}
    </div>
    ${actions}
  </header>`;

/**
 * @param {() => unknown} again
 * @param {boolean} can
 */
export const refreshButton = (again, can) => html`<button @click=${again} ?disabled=${!can}>${refreshIcon} ${t('app.refresh')}</button>`;

/**
 * @param {string} label
 * @param {string} value
 * @param {(text: string) => void} set is given what the field holds, at every keystroke
 */
export const searchField = (label, value, set) =>
  html`<input
    type="search"
    placeholder=${label}
    aria-label=${label}
    .value=${value}
    @input=${(/** @type {any} */ event) => set(event.target.value)}
  />`;

/**
 * Whether every word that was typed is somewhere in it, in any order, whatever the case.
 * @param {string} text what was typed
 * @param {string} haystack
 */
export function fits(text, haystack) {
  const all = haystack.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}
