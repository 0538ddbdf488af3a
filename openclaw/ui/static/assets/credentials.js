/** The tokens this browser holds: the gateway's, which a person pasted, and this device's own, which the gateway issued. */

const SETTINGS = 'openclaw.control.settings.v1';
const DEVICE_AUTH = 'openclaw.device.auth.v1';
const ROLE = 'operator';

/**
 * @param {string} key
 * @returns {Record<string, any>}
 */
function read(key) {
  try {
    const value = JSON.parse(localStorage.getItem(key) ?? '{}');
    return value && typeof value === 'object' ? value : {};
  } catch {
    return {};
  }
}

/**
 * A browser that stores nothing (quota, policy) still works until the page is closed.
 * @param {string} key
 * @param {object} value
 */
function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    console.warn('this browser refuses to store settings; they last until the page is closed');
  }
}

/** @returns {Record<string, any>} */
export const readSettings = () => read(SETTINGS);

/** @param {Record<string, any>} change */
export const writeSettings = (change) => write(SETTINGS, {...read(SETTINGS), ...change});

export class Credentials {
  /** @param {string} deviceId a device token of another key is of no use and is ignored */
  constructor(deviceId) {
    this.deviceId = deviceId;
    this.gatewayToken = '';
    this.deviceToken = '';
    this.reload();
  }

  /** Look again: another tab may have been given a newer token. */
  reload() {
    const {token} = readSettings();
    if (typeof token === 'string') this.gatewayToken = token;
    const kept = read(DEVICE_AUTH);
    const deviceToken = kept.tokens?.[ROLE]?.token;
    if (kept.deviceId === this.deviceId && typeof deviceToken === 'string') this.deviceToken = deviceToken;
  }

  /** What to authenticate with: the device's own token when there is one. */
  get token() {
    return this.deviceToken || this.gatewayToken;
  }

  /** @param {string} token */
  keepGatewayToken(token) {
    this.gatewayToken = token.trim();
    writeSettings({token: this.gatewayToken});
  }

  /** @param {{deviceToken: string, role?: string, scopes?: string[], issuedAtMs?: number}} auth as hello-ok brings it */
  keepDeviceToken(auth) {
    this.deviceToken = auth.deviceToken;
    const entry = {token: auth.deviceToken, role: ROLE, scopes: auth.scopes ?? [], updatedAtMs: auth.issuedAtMs ?? Date.now()};
    write(DEVICE_AUTH, {version: 1, deviceId: this.deviceId, tokens: {[ROLE]: entry}});
  }

  forgetDeviceToken() {
    this.deviceToken = '';
    localStorage.removeItem(DEVICE_AUTH);
  }

  forgetAll() {
    this.forgetDeviceToken();
    this.keepGatewayToken('');
  }
}

/**
 * Take a token out of the page's address, so that neither history nor a copied link keeps it.
 * @returns {string} empty when there is none
 */
export function takeTokenFromAddress() {
  const address = new URL(location.href);
  const fragment = new URLSearchParams(address.hash.startsWith('#/') ? '' : address.hash.slice(1));
  const token = fragment.get('token') ?? address.searchParams.get('token') ?? '';
  if (fragment.has('token') || address.searchParams.has('token')) {
    fragment.delete('token');
    address.searchParams.delete('token');
    if (!address.hash.startsWith('#/')) address.hash = fragment.toString();
    history.replaceState(null, '', address);
  }
  return token;
}
