/** Where in the page we are: `#/overview`, `#/chat/<session key>`. */

export const VIEWS = /** @type {const} */ ([
  'overview', 'chat', 'approvals', 'posts', 'sessions', 'cron', 'agent', 'channels', 'models', 'usage', 'devices', 'logs', 'config',
]);

/** @typedef {typeof VIEWS[number]} ViewName */

/** @type {Record<string, ViewName>} what pages of the original are here */
const NAMES_OF_THE_ORIGINAL = {instances: 'overview', nodes: 'devices', agents: 'agent', skills: 'agent'};

/** @typedef {{view: ViewName, session: string}} Route */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function readRoute(hash) {
  const [view, session = ''] = hash.replace(/^#\/?/, '').split('/');
  const known = VIEWS.find((name) => name === view) ?? 'overview';
  return {view: known, session: known === 'chat' ? decoded(session) : ''};
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/**
 * @param {ViewName} view
 * @param {string} [session]
 */
export const address = (view, session = '') => `#/${view}${session ? `/${encodeURIComponent(session)}` : ''}`;

/**
 * Links of the original name a view by path (`/chat`, `/devices?session=…`): turn such an address into ours.
 */
export function adoptPath() {
  const here = new URL(location.href);
  const last = here.pathname.split('/').at(-1) ?? '';
  const view = VIEWS.find((name) => name === last) ?? (Object.hasOwn(NAMES_OF_THE_ORIGINAL, last) ? NAMES_OF_THE_ORIGINAL[last] : undefined);
  const session = here.searchParams.get('session') ?? '';
  if (!view && !session) return;
  here.searchParams.delete('session');
  here.pathname = here.pathname.slice(0, here.pathname.length - (view ? last.length : 0));
  if (!here.hash.startsWith('#/')) here.hash = address(view ?? 'chat', session);
  history.replaceState(null, '', here);
}
