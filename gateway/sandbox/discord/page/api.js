// The people's JSON API, and the stream of changes.

export class ApiProblem extends Error {}

/** @type {string} the id of the person this page acts as */
let me = "";

export function actAs(userId) {
  me = userId;
}

async function call(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify({ as: me, ...body });
  }
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch {
    throw new ApiProblem("The sandbox does not answer. Is it still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiProblem(answer.error?.detail ?? `The sandbox answered ${response.status}.`);
  return answer;
}

const as = () => `as=${encodeURIComponent(me)}`;
const emojiPath = (emoji) => encodeURIComponent(emoji);

export const api = {
  everything: () => call("GET", "state"),
  state: () => call("GET", `state?${as()}`),
  dms: () => call("GET", `dms?${as()}`),
  openDm: (other) => call("POST", "dms", { with: other }),
  messages: (channel, before) =>
    call("GET", `channels/${channel}/messages?${as()}&limit=60${before ? `&before=${before}` : ""}`),
  say: (channel, body) => call("POST", `channels/${channel}/messages`, body),
  edit: (channel, message, content) => call("PATCH", `channels/${channel}/messages/${message}`, { content }),
  remove: (channel, message) => call("DELETE", `channels/${channel}/messages/${message}`, {}),
  react: (channel, message, emoji) => call("PUT", `channels/${channel}/messages/${message}/reactions/${emojiPath(emoji)}`, {}),
  unreact: (channel, message, emoji) =>
    call("DELETE", `channels/${channel}/messages/${message}/reactions/${emojiPath(emoji)}`, {}),
  typing: (channel) => call("POST", `channels/${channel}/typing`, {}),
  thread: (channel, name, message) => call("POST", `channels/${channel}/threads`, { name, message_id: message ?? null }),
  commands: (channel) => call("GET", `channels/${channel}/commands?${as()}`),
  slash: (channel, application, name, options) => call("POST", `channels/${channel}/slash`, { application, name, options }),
  suggest: (channel, application, name, option, text) =>
    call("POST", `channels/${channel}/suggest`, { application, name, option, text }),
  click: (message, customId, values) => call("POST", `messages/${message}/click`, { custom_id: customId, values: values ?? null }),
  submit: (interaction, values) => call("POST", `interactions/${interaction}/submit`, { values }),
};

const EVENTS = [
  "HELLO", "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE",
  "MESSAGE_REACTION_REMOVE_ALL", "MESSAGE_REACTION_REMOVE_EMOJI", "TYPING_START", "CHANNEL_CREATE", "CHANNEL_UPDATE",
  "CHANNEL_DELETE", "THREAD_CREATE", "THREAD_UPDATE", "THREAD_DELETE", "GUILD_CREATE", "BOT_STATUS", "COMMANDS_UPDATE",
  "INTERACTION_CREATE", "INTERACTION_SUCCESS", "INTERACTION_FAILURE", "INTERACTION_MODAL_CREATE",
];

/**
 * Listen to what this person can see.
 * @param {(name: string, data: any) => void} onEvent
 * @param {(online: boolean) => void} onLink
 * @returns {() => void} stops listening
 */
export function listen(onEvent, onLink) {
  const source = new EventSource(`api/events?${as()}`);
  for (const name of EVENTS) source.addEventListener(name, (event) => onEvent(name, JSON.parse(event.data)));
  source.onopen = () => onLink(true);
  source.onerror = () => onLink(false);
  return () => source.close();
}
