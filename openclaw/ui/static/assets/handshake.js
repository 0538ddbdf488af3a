/** The `connect` request: who we are, and the signature that proves it. */

const PROTOCOL = 3;
const CLIENT_ID = 'openclaw-control-ui';
const CLIENT_MODE = 'webchat';
const ROLE = 'operator';
/** Admin covers reading and writing; the other two decide which events are heard. */
const SCOPES = ['operator.admin', 'operator.approvals', 'operator.pairing'];

/**
 * @typedef {object} Claim
 * @property {string} deviceId
 * @property {string} clientId
 * @property {string} clientMode
 * @property {string} role
 * @property {string[]} scopes in the order they are sent; order is part of the signature
 * @property {number} signedAt Unix milliseconds
 * @property {string} token
 * @property {string} nonce
 * @property {string} [platform]
 * @property {string} [deviceFamily]
 */

/**
 * The text a device signs, version 3.
 * @param {Claim} claim
 */
export function claimText(claim) {
  return [
    'v3',
    claim.deviceId,
    claim.clientId,
    claim.clientMode,
    claim.role,
    claim.scopes.join(','),
    String(claim.signedAt),
    claim.token,
    claim.nonce,
    folded(claim.platform),
    folded(claim.deviceFamily),
  ].join('|');
}

/** @param {string} [text] trimmed, and only ASCII letters lowered: other alphabets stay as they are */
function folded(text = '') {
  return text.trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * Parameters of `connect` in answer to one challenge.
 * @param {import('./device.js').Device} device
 * @param {string} token the gateway token or the device token
 * @param {{nonce: string, ts?: number}} challenge its `ts` dates the signature, so that a wrong clock here does no harm
 */
export async function connectParams(device, token, challenge) {
  const platform = navigator.platform || 'unknown';
  const signedAt = Number.isSafeInteger(challenge.ts) ? /** @type {number} */ (challenge.ts) : Date.now();
  const {nonce} = challenge;
  const text = claimText({
    deviceId: device.id,
    clientId: CLIENT_ID,
    clientMode: CLIENT_MODE,
    role: ROLE,
    scopes: SCOPES,
    signedAt,
    token,
    nonce,
    platform,
  });
  return {
    minProtocol: PROTOCOL,
    maxProtocol: PROTOCOL,
    client: {id: CLIENT_ID, mode: CLIENT_MODE, version: 'clawgate', platform, displayName: browserName()},
    role: ROLE,
    scopes: SCOPES,
    caps: ['tool-events'],
    auth: {token},
    device: {id: device.id, publicKey: device.publicKey, signature: await device.sign(text), signedAt, nonce},
    userAgent: navigator.userAgent,
    locale: navigator.language,
  };
}

/** A name a person recognises in the list of devices. */
function browserName() {
  const agent = navigator.userAgent;
  const browser =
    /Edg\//.test(agent) ? 'Edge'
    : /OPR\//.test(agent) ? 'Opera'
    : /Firefox\//.test(agent) ? 'Firefox'
    : /Chrom(e|ium)\//.test(agent) ? 'Chrome'
    : /Safari\//.test(agent) ? 'Safari'
    : 'Browser';
  const system =
    /Android/.test(agent) ? 'Android'
    : /iPhone|iPad/.test(agent) ? 'iOS'
    : /Windows/.test(agent) ? 'Windows'
    : /Mac OS X/.test(agent) ? 'macOS'
    : /CrOS/.test(agent) ? 'ChromeOS'
    : /Linux/.test(agent) ? 'Linux'
    : '';
  return system ? `${browser} on ${system}` : browser;
}
