/**
 * Pure: how a session's history, the messages just typed and the streamed events become one timeline.
 *
 * A typed message lives as an echo until the history shows it. A run lives from its first event to its last. After the
 * last event the history is asked for again: it is the truth, everything else is a preview of it.
 */

import {attachResults, toolsOf, withToolEvent} from './chat-tools.js';

/** Clocks of two machines, and rounding, may differ by this much. */
const CLOCK_SLACK_MS = 10_000;

/**
 * @typedef {object} Message
 * @property {'user' | 'assistant'} role
 * @property {string} text
 * @property {import('./chat-tools.js').Tool[]} tools what it called
 * @property {number} at Unix milliseconds, 0 when unknown
 * @property {boolean} stopped cut short by a person or a deadline
 */

/**
 * A message typed here. `id` is its idempotency key and the id of its run.
 * @typedef {object} Echo
 * @property {string} id
 * @property {string} text
 * @property {number} at by the gateway's clock
 * @property {'sending' | 'accepted' | 'queued' | 'failed'} status
 * @property {string} error
 */

/**
 * @typedef {object} Run
 * @property {string} id
 * @property {string} text everything written so far
 * @property {number} at
 * @property {import('./chat-tools.js').Tool[]} tools what it called so far
 */

/**
 * @typedef {object} Notice
 * @property {string} runId
 * @property {string} text
 * @property {number} at
 */

/**
 * @typedef {object} Chat
 * @property {'loading' | 'ready' | 'failed'} phase of the history
 * @property {string} error why the history could not be read
 * @property {Message[]} messages
 * @property {Echo[]} echoes
 * @property {Run[]} runs
 * @property {Notice[]} notices runs that ended in an error
 */

/** @returns {Chat} */
export const emptyChat = () => ({phase: 'loading', error: '', messages: [], echoes: [], runs: [], notices: []});

/**
 * @param {any} raw a message as it travels
 * @returns {Message | null} null for what is not shown: tool results, system notes
 */
export function readMessage(raw) {
  if (raw?.role !== 'user' && raw?.role !== 'assistant') return null;
  /** @type {any[]} */
  const parts = typeof raw.content === 'string' ? [{type: 'text', text: raw.content}] : Array.isArray(raw.content) ? raw.content : [];
  const text = parts.filter((part) => part?.type === 'text').map((part) => String(part.text ?? '')).join('\n\n');
  const tools = toolsOf(parts);
  if (!text && !tools.length) return null;
  return {role: raw.role, text, tools, at: Number(raw.timestamp) || 0, stopped: raw.stopReason === 'aborted'};
}

/**
 * @param {Chat} chat
 * @param {any[]} raw the messages of chat.history
 * @param {number} askedAt when the history was asked for, by the gateway's clock
 * @returns {Chat}
 */
export function withHistory(chat, raw, askedAt) {
  const messages = raw.map(readMessage).filter((message) => message !== null);
  attachResults(messages, raw);
  return {...chat, phase: 'ready', error: '', messages, echoes: unseen(chat, messages, askedAt)};
}

/**
 * The echoes that the history does not show yet.
 * @param {Chat} chat
 * @param {Message[]} messages
 * @param {number} askedAt
 */
function unseen(chat, messages, askedAt) {
  const users = messages.filter((message) => message.role === 'user');
  return chat.echoes.filter((echo) => {
    if (echo.status === 'failed') return true;
    const index = users.findIndex((message) => message.at >= echo.at - CLOCK_SLACK_MS && normal(message.text) === normal(echo.text));
    if (index >= 0) {
      users.splice(index, 1);
      return false;
    }
    return chat.runs.length > 0 || echo.status === 'sending' || echo.at >= askedAt;
  });
}

/** @param {string} text */
const normal = (text) => text.normalize('NFC').trim();

/**
 * @param {Chat} chat
 * @param {Echo} echo
 * @returns {Chat}
 */
export const withEcho = (chat, echo) => ({...chat, echoes: [...chat.echoes.filter(({id}) => id !== echo.id), echo]});

/**
 * @param {Chat} chat
 * @param {string} id
 * @param {Partial<Echo>} change
 * @returns {Chat}
 */
export const withEchoChanged = (chat, id, change) => ({
  ...chat,
  echoes: chat.echoes.map((echo) => (echo.id === id ? {...echo, ...change} : echo)),
});

/**
 * @param {Chat} chat
 * @param {string} id
 * @returns {Chat}
 */
export const withoutEcho = (chat, id) => ({...chat, echoes: chat.echoes.filter((echo) => echo.id !== id)});

/**
 * A run that is known to have begun, with nothing written yet.
 * @param {Chat} chat
 * @param {string} id
 * @param {number} at
 * @returns {Chat}
 */
export function withRun(chat, id, at) {
  return chat.runs.some((run) => run.id === id) ? chat : {...chat, runs: [...chat.runs, {id, text: '', at, tools: []}]};
}

/**
 * A `chat` event.
 * @param {Chat} chat
 * @param {any} event
 * @param {number} now by the gateway's clock
 * @returns {Chat}
 */
export function withChatEvent(chat, event, now) {
  const message = readMessage(event.message);
  if (event.state === 'delta') {
    const begun = withRun(chat, event.runId, now);
    // Deltas are cumulative; one that is shorter is late.
    const runs = begun.runs.map((run) =>
      run.id === event.runId && (message?.text.length ?? 0) > run.text.length ? {...run, text: message?.text ?? ''} : run,
    );
    return {...begun, runs};
  }
  if (event.state === 'final' && !message && chat.runs.some((run) => run.id !== event.runId)) return queued(chat, event.runId);
  const ended = endRun(chat, event.runId, message, event.state === 'aborted', now);
  if (event.state !== 'error') return ended;
  const text = String(event.errorMessage ?? '');
  return {...ended, notices: [...ended.notices, {runId: event.runId, text, at: now}]};
}

/**
 * The gateway answers a message that waits behind another run with an empty end; its text runs later under a new id.
 * @param {Chat} chat
 * @param {string} id
 */
function queued(chat, id) {
  const runs = chat.runs.filter((run) => run.id !== id);
  return withEchoChanged({...chat, runs}, id, {status: 'queued'});
}

/**
 * @param {Chat} chat
 * @param {string} id
 * @param {Message | null} message what the gateway says was written; else what was seen of it
 * @param {boolean} stopped
 * @param {number} now
 * @returns {Chat}
 */
function endRun(chat, id, message, stopped, now) {
  const run = chat.runs.find((one) => one.id === id);
  const echo = chat.echoes.find((one) => one.id === id);
  const messages = [...chat.messages];
  if (echo) messages.push({role: 'user', text: echo.text, tools: [], at: echo.at, stopped: false});
  const text = message?.text || run?.text || '';
  const tools = message?.tools.length ? message.tools : (run?.tools ?? []);
  if (text || tools.length) {
    messages.push({role: 'assistant', text, tools, at: message?.at || now, stopped});
  }
  const echoes = chat.echoes.filter((one) => one.id !== id);
  return {...chat, messages, echoes, runs: chat.runs.filter((one) => one.id !== id)};
}

/**
 * A tool was called, or has answered.
 * @param {Chat} chat
 * @param {string} id of the run
 * @param {any} data
 * @param {number} now
 * @returns {Chat}
 */
export function withTool(chat, id, data, now) {
  const begun = withRun(chat, id, now);
  const runs = begun.runs.map((run) => (run.id === id ? {...run, tools: withToolEvent(run.tools, data)} : run));
  return {...begun, runs};
}

/**
 * After a loss nobody knows which runs still go on: those that do will be heard of again.
 * @param {Chat} chat
 * @returns {Chat}
 */
export const withoutRuns = (chat) => ({...chat, runs: []});

/**
 * @typedef {{kind: 'message', key: string, follows: boolean, message: Message}
 *   | {kind: 'echo', key: string, echo: Echo}
 *   | {kind: 'run', key: string, run: Run}
 *   | {kind: 'notice', key: string, notice: Notice}} Item
 */

/**
 * Everything in reading order: the past with its errors, what is being answered, the answer, what waits.
 * @param {Chat} chat
 * @returns {Item[]}
 */
export function timeline(chat) {
  /** @type {Item[]} */
  const items = chat.messages.map((message, index, all) => ({
    kind: 'message',
    key: `m${index}`,
    follows: message.role === 'assistant' && all[index - 1]?.role === 'assistant',
    message,
  }));
  for (const notice of chat.notices) {
    const after = items.findIndex((item) => item.kind === 'message' && item.message.at > notice.at);
    const item = /** @type {Item} */ ({kind: 'notice', key: `n${notice.runId}`, notice});
    items.splice(after < 0 ? items.length : after, 0, item);
  }
  const waits = (/** @type {Echo} */ echo) => echo.status === 'queued';
  const echoItem = (/** @type {Echo} */ echo) => /** @type {Item} */ ({kind: 'echo', key: `e${echo.id}`, echo});
  items.push(...chat.echoes.filter((echo) => !waits(echo)).map(echoItem));
  items.push(...chat.runs.map((run) => /** @type {Item} */ ({kind: 'run', key: `r${run.id}`, run})));
  items.push(...chat.echoes.filter(waits).map(echoItem));
  return items;
}
