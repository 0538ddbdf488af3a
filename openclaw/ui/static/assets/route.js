/** Where in the page we are: `#/chat/<session key>`, `#/overview`, `#/devices`. */

export const VIEWS = /** @type {const} */ (['chat', 'overview', 'devices']);

/** @typedef {{view: typeof VIEWS[number], session: string}} Route */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function readRoute(hash) {
  const [view, session = ''] = hash.replace(/^#\/?/, '').split('/');
  const known = VIEWS.find((name) => name === view) ?? 'chat';
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
 * @param {typeof VIEWS[number]} view
 * @param {string} [session]
 */
export const address = (view, session = '') => `#/${view}${session ? `/${encodeURIComponent(session)}` : ''}`;

/**
 * Links of the original name a view by path (`/chat`, `/devices?session=…`): turn such an address into ours.
 */
export function adoptPath() {
  const here = new URL(location.href);
  const last = here.pathname.split('/').at(-1) ?? '';
  const view = VIEWS.find((name) => name === last);
  const session = here.searchParams.get('session') ?? '';
  if (!view && !session) return;
  here.searchParams.delete('session');
  here.pathname = here.pathname.slice(0, here.pathname.length - (view ? last.length : 0));
  if (!here.hash.startsWith('#/')) here.hash = address(view ?? 'chat', session);
  history.replaceState(null, '', here);
}
