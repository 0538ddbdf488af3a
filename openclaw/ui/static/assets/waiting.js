/** Pure: everything that waits for a person, the most pressing first. */

import {accountState} from './channels-store.js';

/**
 * @typedef {{kind: 'approval', key: string, approval: any}
 *   | {kind: 'post', key: string, post: any}
 *   | {kind: 'device', key: string, request: any}
 *   | {kind: 'config', key: string, issues: any[]}
 *   | {kind: 'credential', key: string, credential: import('./credentials-store.js').Credential}
 *   | {kind: 'channel', key: string, label: string, error: string}
 *   | {kind: 'job', key: string, job: any}} Waiting
 */

/**
 * @param {import('./view.js').Stores} stores
 * @returns {Waiting[]}
 */
export function whatWaits({approvals, posts, devices, config, credentials, channels, cron}) {
  return [
    ...approvals.state.waiting.map((approval) => /** @type {Waiting} */ ({kind: 'approval', key: `a${approval.id}`, approval})),
    ...posts.waiting.map((post) => /** @type {Waiting} */ ({kind: 'post', key: `p${post.id}`, post})),
    ...devices.state.pending.map((request) => /** @type {Waiting} */ ({kind: 'device', key: `d${request.requestId}`, request})),
    ...(config.pendingInvalid ? [/** @type {Waiting} */ ({kind: 'config', key: 'config', issues: config.issues})] : []),
    ...credentials.failing.map((credential) => /** @type {Waiting} */ ({kind: 'credential', key: `c${credential.id}`, credential})),
    ...channels.state.channels.flatMap(({id, label, accounts}) =>
      accounts
        .filter((account) => accountState(account) === 'stopped')
        .map((account) => /** @type {Waiting} */ ({kind: 'channel', key: `h${id}${account.accountId}`, label, error: String(account.lastError ?? '')})),
    ),
    ...cron.failed.map((job) => /** @type {Waiting} */ ({kind: 'job', key: `j${job.id}`, job})),
  ];
}

/** The stores that `whatWaits` looks at. */
export const SOURCES = /** @type {const} */ (['approvals', 'posts', 'devices', 'config', 'credentials', 'channels', 'cron']);
