/**
 * This browser's device key: Ed25519, made by the browser, kept in IndexedDB, never readable by any script.
 * The id is the SHA-256 of the raw public key.
 */

const DATABASE = 'openclaw-device';
const STORE = 'keys';
const SLOT = 'device';

/**
 * @typedef {object} Device
 * @property {string} id 64 lower-case hex digits
 * @property {string} publicKey base64url of the 32 raw bytes
 * @property {(text: string) => Promise<string>} sign base64url signature over the text's UTF-8 bytes
 */

/** The browser cannot hold a device key; `reason` says why. */
export class DeviceUnavailable extends Error {
  /** @param {'insecure' | 'unsupported' | 'storage'} reason */
  constructor(reason) {
    super(reason);
    this.name = 'DeviceUnavailable';
    this.reason = reason;
  }
}

/**
 * The device of this browser profile, made at the first call.
 * @returns {Promise<Device>}
 * @throws {DeviceUnavailable}
 */
export async function loadDevice() {
  if (!globalThis.crypto?.subtle) throw new DeviceUnavailable('insecure');
  const pair = await loadPair();
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  return {
    id: hex(new Uint8Array(await crypto.subtle.digest('SHA-256', raw))),
    publicKey: base64url(raw),
    sign: async (text) =>
      base64url(new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, new TextEncoder().encode(text)))),
  };
}

/** @returns {Promise<CryptoKeyPair>} */
async function loadPair() {
  let database;
  try {
    database = await open();
    const kept = await keep(database, null);
    if (kept) return kept;
  } catch {
    throw new DeviceUnavailable('storage');
  } finally {
    database?.close();
  }
  const made = await generate();
  try {
    database = await open();
    return /** @type {CryptoKeyPair} */ (await keep(database, made));
  } catch {
    throw new DeviceUnavailable('storage');
  } finally {
    database.close();
  }
}

/** @returns {Promise<CryptoKeyPair>} */
async function generate() {
  try {
    return /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey({name: 'Ed25519'}, false, ['sign', 'verify']));
  } catch {
    throw new DeviceUnavailable('unsupported');
  }
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
    opening.onblocked = () => reject(new Error('blocked'));
  });
}

/**
 * Read the kept pair; when there is none, keep the offered one. One transaction, so that two tabs end with one key.
 * @param {IDBDatabase} database
 * @param {CryptoKeyPair | null} offered
 * @returns {Promise<CryptoKeyPair | null>}
 */
function keep(database, offered) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, 'readwrite');
    const store = transaction.objectStore(STORE);
    /** @type {CryptoKeyPair | null} */
    let result = null;
    const reading = store.get(SLOT);
    reading.onsuccess = () => {
      result = reading.result ?? offered;
      if (!reading.result && offered) store.put(offered, SLOT);
    };
    transaction.oncomplete = () => resolve(result);
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}
