/** Devices that wait for approval, devices that are paired, and what can be done to them. */

import {Store} from './store.js';

/**
 * @typedef {object} DevicesState
 * @property {any[] | null} pending null until the first answer
 * @property {any[] | null} paired
 * @property {string} error why the list, or the last action, failed
 * @property {string} said what the last action did, for the live region
 * @property {Set<string>} busy request ids and device ids with an action under way
 * @property {{name: string, token: string} | null} issued a token that is shown once
 */

/** @extends {Store<DevicesState>} */
export class DevicesStore extends Store {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    super({pending: null, paired: null, error: '', said: '', busy: new Set(), issued: null});
    this.connection = connection;
    connection.addEventListener('ready', () => this.reload());
    connection.addEventListener('gap', () => this.reload());
    connection.addEventListener('gateway', (event) => {
      if (/** @type {CustomEvent} */ (event).detail.event.startsWith('device.pair.')) this.reload();
    });
  }

  /** The id of this browser's own device. */
  get ownId() {
    return this.connection.device.id;
  }

  async reload() {
    try {
      const {pending = [], paired = []} = await this.connection.request('device.pair.list');
      this.set({pending, paired, error: ''});
    } catch (error) {
      if (this.connection.state.phase === 'ready') this.set({error: /** @type {Error} */ (error).message});
    }
  }

  /** @param {any} request */
  approve(request) {
    return this.#act(request.requestId, 'device.pair.approve', {requestId: request.requestId}, `${deviceName(request)} approved.`);
  }

  /** @param {any} request */
  reject(request) {
    return this.#act(request.requestId, 'device.pair.reject', {requestId: request.requestId}, `${deviceName(request)} rejected.`);
  }

  /** @param {any} device */
  remove(device) {
    return this.#act(device.deviceId, 'device.pair.remove', {deviceId: device.deviceId}, `${deviceName(device)} removed.`);
  }

  /**
   * @param {any} device
   * @param {string} role
   */
  revoke(device, role) {
    const params = {deviceId: device.deviceId, role};
    return this.#act(device.deviceId, 'device.token.revoke', params, `The token of ${deviceName(device)} is revoked.`);
  }

  /**
   * @param {any} device
   * @param {string} role
   */
  async rotate(device, role) {
    const params = {deviceId: device.deviceId, role};
    const answer = await this.#act(device.deviceId, 'device.token.rotate', params, `${deviceName(device)} has a new token.`);
    if (!answer?.token) return;
    if (device.deviceId === this.ownId) {
      this.connection.credentials.keepDeviceToken({deviceToken: answer.token, scopes: answer.scopes, issuedAtMs: answer.rotatedAtMs});
    } else {
      this.set({issued: {name: deviceName(device), token: answer.token}});
    }
  }

  forgetIssued() {
    this.set({issued: null});
  }

  /**
   * @param {string} id
   * @param {string} method
   * @param {object} params
   * @param {string} said
   */
  async #act(id, method, params, said) {
    this.set({busy: new Set([...this.state.busy, id]), error: '', said: ''});
    try {
      const answer = await this.connection.request(method, params);
      this.set({said});
      await this.reload();
      return answer;
    } catch (error) {
      await this.reload();
      this.set({error: /** @type {Error} */ (error).message});
      return null;
    } finally {
      const busy = new Set(this.state.busy);
      busy.delete(id);
      this.set({busy});
    }
  }
}

/** @param {{displayName?: string, clientId?: string, deviceId: string}} device */
export function deviceName(device) {
  return device.displayName || device.clientId || `Device ${device.deviceId.slice(0, 8)}`;
}
