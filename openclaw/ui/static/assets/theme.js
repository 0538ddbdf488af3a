/** Light, dark, or as the system has it. */

import {readSettings, writeSettings} from './credentials.js';

/** @typedef {'system' | 'light' | 'dark'} Theme */

/** @type {Theme[]} */
const THEMES = ['system', 'light', 'dark'];

/** @returns {Theme} */
export function theme() {
  const {theme: kept} = readSettings();
  return THEMES.find((one) => one === kept) ?? 'system';
}

/** Put the kept choice into effect. */
export function applyTheme() {
  const chosen = theme();
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

/** @returns {Theme} the choice that follows the present one */
export const nextTheme = () => THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];

/** @param {Theme} chosen */
export function chooseTheme(chosen) {
  writeSettings({theme: chosen});
  applyTheme();
}
