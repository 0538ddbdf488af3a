/** Pure: tool calls, as the history and the streamed events tell of them. */

const CALLS = ['toolCall', 'tool_use', 'toolUse', 'tool_call'];
const LONGEST = 4000;

/**
 * @typedef {object} Tool
 * @property {string} id
 * @property {string} name
 * @property {string} input
 * @property {string} output
 * @property {'running' | 'done' | 'failed'} status
 */

/**
 * @param {any[]} parts of a message
 * @returns {Tool[]}
 */
export const toolsOf = (parts) =>
  parts
    .filter((part) => CALLS.includes(part?.type))
    .map((part) => ({
      id: String(part.id ?? ''),
      name: String(part.name ?? ''),
      input: shown(part.arguments ?? part.input),
      output: '',
      status: 'done',
    }));

/** @param {unknown} value arguments come as JSON text or as a value */
function shown(value) {
  if (value === undefined || value === null || value === '') return '';
  let text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  try {
    if (typeof value === 'string') text = JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    // It is shown as it came.
  }
  return cut(text);
}

/** @param {string} text */
const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

/**
 * Put what tools answered beside their calls.
 * @param {{tools: Tool[]}[]} messages
 * @param {any[]} raw the same history, with its tool results
 */
export function attachResults(messages, raw) {
  const calls = new Map(messages.flatMap(({tools}) => tools).map((tool) => [tool.id, tool]));
  for (const result of raw) {
    const call = result?.role === 'toolResult' ? calls.get(String(result.toolCallId)) : undefined;
    if (!call) continue;
    const parts = Array.isArray(result.content) ? result.content : [{text: result.content}];
    call.output = cut(parts.map((/** @type {any} */ part) => String(part?.text ?? '')).join('\n'));
    call.status = result.isError ? 'failed' : 'done';
  }
}

/**
 * @param {Tool[]} tools
 * @param {any} data of a streamed tool event
 * @returns {Tool[]}
 */
export function withToolEvent(tools, {phase, toolCallId, name, isError, args}) {
  const id = String(toolCallId ?? '');
  const before = tools.find((tool) => tool.id === id) ?? {id, name: String(name ?? ''), input: shown(args), output: '', status: 'running'};
  const status = phase === 'result' ? (isError ? 'failed' : 'done') : before.status;
  const now = /** @type {Tool} */ ({...before, status});
  return tools.some((tool) => tool.id === id) ? tools.map((tool) => (tool.id === id ? now : tool)) : [...tools, now];
}
