/** Words: every text that a person reads comes from here, in the language that was chosen. */

import {readSettings, writeSettings} from './credentials.js';
import {Store} from './store.js';
import {LitElement} from './vendor/lit.js';
import agent from './words/agent.js';
import app from './words/app.js';
import approvals from './words/approvals.js';
import channels from './words/channels.js';
import chat from './words/chat.js';
import config from './words/config.js';
import connect from './words/connect.js';
import cron from './words/cron.js';
import devices from './words/devices.js';
import logs from './words/logs.js';
import models from './words/models.js';
import overview from './words/overview.js';
import posts from './words/posts.js';
import sessions from './words/sessions.js';
import usage from './words/usage.js';

export const LANGUAGES = /** @type {const} */ (['en', 'ko']);

/** @typedef {typeof LANGUAGES[number]} Language */

/** @type {Record<string, Record<string, string[]>>} by area and name: one text a language, in the order of LANGUAGES */
const TABLES = {agent, app, approvals, channels, chat, config, connect, cron, devices, logs, models, overview, posts, sessions, usage};

/** @returns {Language} what was chosen, else what the browser speaks */
function initial() {
  const wanted = [readSettings().language, ...(navigator.languages ?? [navigator.language])];
  for (const one of wanted) {
    const known = LANGUAGES.find((language) => String(one ?? '').toLowerCase().split('-')[0] === language);
    if (known) return known;
  }
  return 'en';
}

/** @type {Store<{language: Language}>} */
export const speech = new Store({language: initial()});

/** @param {Language} language */
export function chooseLanguage(language) {
  writeSettings({language});
  document.documentElement.lang = language;
  speech.set({language});
}

document.documentElement.lang = speech.state.language;

/** @param {string} key `area.name` */
function text(key) {
  const dot = key.indexOf('.');
  const texts = TABLES[key.slice(0, dot)]?.[key.slice(dot + 1)];
  return texts?.[LANGUAGES.indexOf(speech.state.language)] ?? key;
}

/**
 * @param {string} key `area.name`
 * @param {Record<string, unknown>} [values] for the places in braces
 */
export function t(key, values = {}) {
  return text(key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * The same with values that are templates; the result is for a template, too.
 * @param {string} key
 * @param {Record<string, unknown>} values
 * @returns {unknown[]}
 */
export const rich = (key, values) => text(key).split(/\{(\w+)\}/).map((part, index) => (index % 2 ? values[part] : part));

/** Whether there is such a text: for words that name values of the gateway, which may bring new ones. */
export const known = (/** @type {string} */ key) => text(key) !== key;

/** A component that speaks: it is drawn anew when another language is chosen. */
export class Localized extends LitElement {
  #stop = () => {};

  connectedCallback() {
    super.connectedCallback();
    this.#stop = speech.watch(() => this.requestUpdate());
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#stop();
  }
}
