/** What can be typed after a slash. `page` commands are carried out here; the gateway answers the others. */

import {t} from './i18n.js';

/**
 * @typedef {object} Command
 * @property {string} name
 * @property {boolean} page
 */

/** @type {Command[]} */
const COMMANDS = [
  {name: '/new', page: false},
  {name: '/stop', page: false},
  {name: '/compact', page: true},
  {name: '/model', page: true},
  {name: '/help', page: true},
];

/**
 * @param {string} draft
 * @returns {Command[]} those that what is typed may become
 */
export const matching = (draft) => (/^\/\S*$/.test(draft) ? COMMANDS.filter(({name}) => name.startsWith(draft.toLowerCase())) : []);

/** @param {string} text whether the page itself carries it out */
export const isOfThePage = (text) => COMMANDS.some(({name, page}) => page && name === text.trim().toLowerCase());

/** @param {Command} command */
export function meaning({name}) {
  switch (name) {
    case '/new':
      return t('chat.cmdNew');
    case '/stop':
      return t('chat.cmdStop');
    case '/compact':
      return t('chat.cmdCompact');
    case '/model':
      return t('chat.cmdModel');
    default:
      return t('chat.cmdHelp');
  }
}
