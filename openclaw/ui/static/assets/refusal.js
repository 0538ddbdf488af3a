/** What a refused connection means for the person in front of the page. */

/**
 * @typedef {object} WireError
 * @property {string} code
 * @property {string} message
 * @property {Record<string, any>} [details]
 * @property {boolean} [retryable]
 * @property {number} [retryAfterMs]
 */

/**
 * `login`: a token is needed · `pairing`: wait for approval · `insecure`: the browser cannot prove who it is ·
 * `limited`: too many failures · `origin`: this address is not allowed · `denied`: no, for another reason ·
 * `later`: try again by itself.
 * @typedef {'login' | 'pairing' | 'insecure' | 'limited' | 'origin' | 'denied' | 'later'} RefusalKind
 */

/**
 * @typedef {object} Refusal
 * @property {RefusalKind} kind
 * @property {string} code the machine-readable reason
 * @property {string} message the gateway's own words
 * @property {string} [requestId] of the pairing request
 * @property {string} [reason] why pairing is needed
 */

/** @type {Record<string, RefusalKind>} */
const KINDS = {
  PAIRING_REQUIRED: 'pairing',
  AUTH_TOKEN_MISSING: 'login',
  AUTH_TOKEN_MISMATCH: 'login',
  AUTH_DEVICE_TOKEN_MISMATCH: 'login',
  AUTH_REQUIRED: 'login',
  AUTH_UNAUTHORIZED: 'login',
  AUTH_RATE_LIMITED: 'limited',
  CONTROL_UI_DEVICE_IDENTITY_REQUIRED: 'insecure',
  DEVICE_IDENTITY_REQUIRED: 'insecure',
};

/**
 * @param {WireError} error the error of the `connect` answer
 * @returns {Refusal}
 */
export function readRefusal(error) {
  const details = error.details ?? {};
  const code = String(details.code ?? error.code);
  let kind = KINDS[code];
  if (!kind && error.message.startsWith('origin not allowed')) kind = 'origin';
  if (!kind && error.code === 'UNAVAILABLE') kind = 'later';
  return {kind: kind ?? 'denied', code, message: error.message, requestId: details.requestId, reason: details.reason};
}

/**
 * Whether another token may still succeed after this refusal.
 * @param {Refusal} refusal
 */
export function isTokenRefused(refusal) {
  return refusal.kind === 'login' && refusal.code !== 'AUTH_TOKEN_MISSING';
}
