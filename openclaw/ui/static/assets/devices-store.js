/** Devices that wait for approval, devices that are paired, and what can be done to them. */

import {t} from './i18n.js';
import {RemoteStore} from './remote-store.js';

/**
 * @typedef {object} DevicesState
 * @property {any[]} pending
 * @property {any[]} paired
 * @property {{name: string, token: string} | null} issued a token that is shown once
 */

/** @extends {RemoteStore<DevicesState>} */
export class DevicesStore extends RemoteStore {
  /** @param {import('./connection.js').Connection} connection */
  constructor(connection) {
    const initial = {pending: [], paired: [], issued: null};
    super(connection, initial, {always: true, on: (event) => event.startsWith('device.pair.')});
  }

  /** The id of this browser's own device. */
  get ownId() {
    return this.connection.device.id;
  }

  async read() {
    const {pending = [], paired = []} = await this.connection.request('device.pair.list');
    return {pending, paired};
  }

  /** @param {any} request */
  approve(request) {
    const said = t('devices.saidApproved', {name: deviceName(request)});
    return this.act(request.requestId, 'device.pair.approve', {requestId: request.requestId}, said);
  }

  /** @param {any} request */
  reject(request) {
    const said = t('devices.saidRejected', {name: deviceName(request)});
    return this.act(request.requestId, 'device.pair.reject', {requestId: request.requestId}, said);
  }

  /** @param {any} device */
  remove(device) {
    const said = t('devices.saidRemoved', {name: deviceName(device)});
    return this.act(device.deviceId, 'device.pair.remove', {deviceId: device.deviceId}, said);
  }

  /**
   * @param {any} device
   * @param {string} role
   */
  revoke(device, role) {
    const said = t('devices.saidRevoked', {name: deviceName(device)});
    return this.act(device.deviceId, 'device.token.revoke', {deviceId: device.deviceId, role}, said);
  }

  /**
   * @param {any} device
   * @param {string} role
   */
  async rotate(device, role) {
    const said = t('devices.saidReplaced', {name: deviceName(device)});
    const answer = await this.act(device.deviceId, 'device.token.rotate', {deviceId: device.deviceId, role}, said);
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
}

/** @param {{displayName?: string, clientId?: string, deviceId: string}} device */
export function deviceName(device) {
  return device.displayName || device.clientId || t('devices.unnamed', {id: String(device.deviceId).slice(0, 8)});
}
