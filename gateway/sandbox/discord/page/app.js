// Ties the page together: who one is, where one looks, and what happens there.
import { actAs, api, listen } from "./api.js";
import { Composer } from "./composer.js";
import { avatar, fill, h, icon, shownName, toast } from "./dom.js";
import { messageList } from "./messages.js";
import { Store } from "./store.js";

const store = new Store();
const sidebar = document.getElementById("sidebar");
const room = document.getElementById("room");
const members = document.getElementById("members");

let current = null; // channel id
let stopListening = () => {};
let nearEnd = true;

const log = h("ol.messages", { role: "log", "aria-label": "Messages", tabindex: "0", onscroll: scrolled, onkeydown: walk });
const typingLine = h("div.typing", { "aria-live": "polite" });
const header = h("header.roomhead");
const banner = h("div.offline", { hidden: true, role: "alert" }, "Connection lost. Trying again…");

const actions = {
  open: (id) => openChannel(id),
  jump: (id) => focusMessage(id),
  reply: (message) => composer.reply(message),
  edit: (message) => composer.edit(message),
  remove: (message) => attempt(api.remove(message.channel_id, message.id)),
  react: (message, emoji, isMine) => attempt((isMine ? api.unreact : api.react)(message.channel_id, message.id, emoji)),
  click: clickComponent,
  slash: runSlash,
  thread: (message) => askName("Start a thread", "Thread name", (name) => attempt(api.thread(message.channel_id, name, message.id).then((thread) => openChannel(thread.id)))),
  keys: messageKeys,
  editLast,
};
const composer = new Composer(store, actions);

start();

async function start() {
  const everything = await attempt(api.everything());
  if (!everything) return showNotice("The sandbox does not answer", "Start it with “clawgate sandbox”, then reload this page.");
  store.people = everything.people;
  if (!store.people.length) return showNotice("Nobody lives here yet", "The sandbox has no people. Start it with “clawgate sandbox”.");
  window.addEventListener("hashchange", () => follow());
  document.addEventListener("keydown", shortcuts);
  setInterval(showTyping, 1_000);
  await follow();
}

function place() {
  return new URLSearchParams(location.hash.slice(1));
}

function go(changes) {
  const next = place();
  for (const [key, value] of Object.entries(changes)) value === null ? next.delete(key) : next.set(key, value);
  location.hash = next.toString();
}

/** Show what the address names: #as=owner&c=<channel>. */
async function follow() {
  const wanted = place();
  const person = store.people.find((user) => user.username === wanted.get("as") || user.id === wanted.get("as")) ?? store.people[0];
  if (person.id !== store.me?.id) await become(person);
  const target = store.channel(wanted.get("c")) ?? store.guilds[0]?.channels[0] ?? store.dms[0];
  if (target && target.id !== current) await show(target);
  else if (!target) showNotice("No channels here", "Open a direct message with one of the bots on the left.");
}

async function become(person) {
  stopListening();
  store.me = person;
  store.messages.clear();
  store.complete.clear();
  store.unread.clear();
  current = null;
  actAs(person.id);
  await refresh();
  stopListening = listen(onEvent, onLink);
}

async function refresh() {
  const [state, dms] = await Promise.all([attempt(api.state()), attempt(api.dms())]);
  if (!state || !dms) return;
  Object.assign(store, { people: state.people, bots: state.bots, guilds: state.guilds, dms: dms.channels });
  store.me = store.people.find((user) => user.id === store.me.id) ?? store.me;
  drawSidebar();
  drawMembers();
}

function onLink(online) {
  if (online && !store.online) {
    store.messages.clear();
    store.complete.clear();
    refresh().then(() => current && load(current));
  }
  store.online = online;
  banner.hidden = online;
}

// --- the left side ---

function drawSidebar() {
  const guild = store.guilds[0];
  const row = (channel, symbol, name, online) => {
    const news = store.unread.get(channel.id);
    return h("li", {}, h(`button.channel${channel.id === current ? ".current" : ""}${news ? ".news" : ""}${channel.parent_id ? ".thread" : ""}`, {
      type: "button", "aria-current": channel.id === current ? "page" : null, onclick: () => openChannel(channel.id),
    }, symbol, h("span.name", {}, name), news?.pings ? h("span.badge", {}, news.pings) : null, online === undefined ? null : dot(online)));
  };
  const rooms = guild ? guild.channels.filter((channel) => channel.type === 0) : [];
  const bots = store.bots.map((bot) => {
    const dm = store.dms.find((channel) => channel.recipients[0]?.id === bot.id);
    if (dm) return row(dm, avatar(bot, "small"), shownName(bot), bot.online);
    return h("li", {}, h("button.channel", { type: "button", onclick: () => startDm(bot) }, avatar(bot, "small"), h("span.name", {}, shownName(bot)), dot(bot.online)));
  });
  const others = store.dms.filter((channel) => !channel.recipients[0]?.bot).map((channel) => row(channel, avatar(channel.recipients[0], "small"), shownName(channel.recipients[0])));
  fill(sidebar,
    h("div.guildhead", {}, h("span.guildname", {}, guild?.name ?? "Sandbox"), h("span.dim", {}, "offline world")),
    h("div.scroll", {},
      guild ? section("Channels", rooms.flatMap((channel) => [
        row(channel, h("span.hash", { "aria-hidden": "true" }, "#"), channel.name),
        ...guild.threads.filter((thread) => thread.parent_id === channel.id && !thread.thread_metadata.archived).map((thread) => row(thread, h("span.hash", { "aria-hidden": "true" }, icon("thread")), thread.name)),
      ])) : null,
      section("Direct messages", [...bots, ...others])),
    persona());
}

function section(title, rows) {
  return h("section", {}, h("h2", {}, title), h("ul", {}, rows));
}

function dot(online) {
  return h(`span.dot${online ? ".on" : ""}`, { title: online ? "online" : "offline", role: "img", "aria-label": online ? "online" : "offline" });
}

function persona() {
  return h("div.persona", {}, avatar(store.me), h("div.who", {},
    h("label", { for: "persona" }, "You are"),
    h("select", { id: "persona", onchange: (event) => go({ as: event.target.value }) },
      store.people.map((user) => h("option", { value: user.username, selected: user.id === store.me.id }, shownName(user))))));
}

function drawMembers() {
  const channel = store.channel(current);
  const all = channel ? store.membersOf(channel).filter(Boolean) : [];
  const row = (user) => h("li", {}, avatar(user, "small"), h("span.name", {}, shownName(user)), user.bot ? h("span.tag", {}, "APP") : null, user.bot ? dot(Boolean(user.online)) : null);
  const bots = all.filter((user) => user.bot);
  const people = all.filter((user) => !user.bot);
  fill(members, h("h2", {}, `Bots — ${bots.length}`), h("ul", {}, bots.map(row)), h("h2", {}, `People — ${people.length}`), h("ul", {}, people.map(row)));
}

async function startDm(bot) {
  const opened = await attempt(api.openDm(bot.id));
  if (!opened) return;
  await refresh();
  openChannel(opened.channel_id);
}

// --- the middle ---

function openChannel(id) {
  if (id === current) composer.focus();
  else go({ c: id, as: store.me.username });
}

async function show(channel) {
  current = channel.id;
  store.unread.delete(channel.id);
  nearEnd = true;
  drawSidebar();
  drawMembers();
  const isDm = channel.type === 1;
  document.title = `${isDm ? "@" + shownName(channel.recipients[0]) : "#" + channel.name} · Sandbox Discord`;
  fill(header, isDm ? avatar(channel.recipients[0], "small") : h("span.hash", { "aria-hidden": "true" }, channel.parent_id ? icon("thread") : "#"),
    h("h1", {}, isDm ? shownName(channel.recipients[0]) : channel.name),
    channel.topic ? h("span.topic", {}, channel.topic) : null,
    channel.parent_id ? h("button.linklike", { type: "button", onclick: () => openChannel(channel.parent_id) }, `in #${store.channel(channel.parent_id)?.name ?? "?"}`) : null,
    h("span.keys", {}, "Alt+↑↓ channels · / commands · ↑ edit"));
  fill(log, h("li.loading", {}, "Loading…"));
  fill(room, header, banner, log, typingLine, composer.element);
  await Promise.all([load(channel.id), composer.show(channel)]);
  composer.focus();
}

async function load(id, before) {
  const page = await attempt(api.messages(id, before));
  if (!page) return;
  const known = before ? store.messages.get(id) ?? [] : [];
  store.messages.set(id, [...page.messages, ...known]);
  if (page.messages.length < 60) store.complete.add(id);
  if (id !== current) return;
  const height = log.scrollHeight;
  drawMessages();
  if (before) log.scrollTop += log.scrollHeight - height;
}

function drawMessages() {
  const channel = store.channel(current);
  if (!channel) return;
  const focused = document.activeElement?.closest?.("li.message")?.dataset.id;
  const rows = messageList(store, channel, actions);
  const failures = [...store.pending.values()].filter((entry) => entry.failed && entry.channelId === current)
    .map((entry) => h("li.failure", { role: "alert" }, `${entry.label}: the application did not respond.`));
  fill(log, store.complete.has(current) ? welcome(channel, rows.length) : h("li.loading", {}, "Loading…"), rows, failures);
  if (focused) log.querySelector(`[data-id="${focused}"]`)?.focus();
  if (nearEnd) log.scrollTop = log.scrollHeight;
}

function welcome(channel, count) {
  const isDm = channel.type === 1;
  const name = isDm ? shownName(channel.recipients[0]) : `#${channel.name}`;
  const bot = store.bots[0];
  const hint = isDm ? "Say something: a direct message needs no mention."
    : `Mention a bot to wake it, for example “@${bot ? shownName(bot) : "bot"} hello”. Type / for its commands.`;
  return h("li.welcome", {}, isDm ? avatar(channel.recipients[0], "huge") : h("span.bigicon", { "aria-hidden": "true" }, channel.parent_id ? icon("thread") : "#"),
    h("h2", {}, isDm ? name : `Welcome to ${name}`),
    h("p", {}, isDm ? `This is the beginning of your conversation with ${name}.` : `This is the beginning of ${name}.`), count ? null : h("p.hint", {}, hint));
}

function showNotice(title, text) {
  fill(room, h("div.notice", {}, h("h1", {}, title), h("p", {}, text)));
}

function showTyping() {
  const typers = current ? store.typers(current).map(shownName) : [];
  if (!typers.length) return fill(typingLine);
  const who = typers.length > 3 ? "Several people are" : `${typers.join(", ")} ${typers.length > 1 ? "are" : "is"}`;
  fill(typingLine, h("span.dots", { "aria-hidden": "true" }, h("i"), h("i"), h("i")), h("span", {}, `${who} typing…`));
}

function scrolled() {
  nearEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const oldest = store.messages.get(current)?.[0];
  if (log.scrollTop < 40 && oldest && !store.complete.has(current) && !log.dataset.loading) {
    log.dataset.loading = "yes";
    load(current, oldest.id).finally(() => delete log.dataset.loading);
  }
}

function focusMessage(id) {
  const row = log.querySelector(`[data-id="${id}"]`);
  if (!row) return toast("That message is further up");
  row.scrollIntoView({ block: "center" });
  row.classList.add("flash");
  setTimeout(() => row.classList.remove("flash"), 1_500);
  row.focus();
}

// --- doing ---

async function attempt(promise) {
  try {
    return await promise;
  } catch (problem) {
    toast(problem.message, "error");
    return null;
  }
}

async function clickComponent(message, customId, values) {
  const started = await attempt(api.click(message.id, customId, values));
  if (started) track(started.interaction_id, { messageId: message.id, channelId: message.channel_id, customId, label: "Button" });
}

async function runSlash(channel, entry, options) {
  const started = await attempt(api.slash(channel.id, entry.application, entry.name, options));
  if (started) track(started.interaction_id, { channelId: channel.id, label: `/${entry.name}` });
}

const answered = new Set();

function track(id, entry) {
  if (!answered.delete(id)) store.pending.set(id, entry);
  drawMessages();
}

function settle(id, failed) {
  const entry = store.pending.get(id);
  if (!entry) answered.add(id);
  store.pending.delete(id);
  if (failed && entry) {
    store.pending.set(id, { ...entry, failed, customId: null });
    setTimeout(() => { store.pending.delete(id); drawMessages(); }, 6_000);
  }
  drawMessages();
}

function editLast() {
  const mine = (store.messages.get(current) ?? []).filter((message) => message.author.id === store.me.id);
  if (mine.length) composer.edit(mine[mine.length - 1]);
  return mine.length > 0;
}

function askName(title, label, done) {
  const input = h("input", { type: "text", maxlength: "100", required: true, "aria-label": label, placeholder: label });
  openDialog(title, [input], () => input.value.trim() && done(input.value.trim()), "Create");
}

function openDialog(title, body, submit, verb = "Submit") {
  const close = () => { dialog.close(); dialog.remove(); composer.focus(); };
  const form = h("form", { method: "dialog", onsubmit: (event) => { event.preventDefault(); submit(); close(); } },
    h("h2", {}, title), body, h("div.dialogbuttons", {}, h("button.button.secondary", { type: "button", onclick: close }, "Cancel"), h("button.button.primary", { type: "submit" }, verb)));
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-label": title, oncancel: close }, form));
  document.body.append(dialog);
  dialog.showModal();
}

function showModal(modal) {
  const inputs = modal.components.flatMap((row) => (row.component ? [{ ...row.component, label: row.label }] : row.components ?? [])).filter((input) => input.custom_id);
  const fields = inputs.map((input) => ({ input, element: h(input.style === 2 ? "textarea" : "input", {
    required: input.required !== false, value: input.value ?? "", placeholder: input.placeholder, minlength: input.min_length, maxlength: input.max_length }) }));
  openDialog(modal.title, fields.map(({ input, element }) => h("label.formfield", {}, h("span", {}, input.label ?? input.custom_id), element)),
    () => attempt(api.submit(modal.id, Object.fromEntries(fields.map(({ input, element }) => [input.custom_id, element.value])))));
}

// --- what happens ---

function onEvent(name, data) {
  switch (name) {
    case "MESSAGE_CREATE":
      store.stopTyping(data.channel_id, data.author.id);
      store.put(data);
      noteUnread(data);
      break;
    case "MESSAGE_UPDATE": store.put(data); break;
    case "MESSAGE_DELETE": store.drop(data.channel_id, data.id); break;
    case "MESSAGE_DELETE_BULK": data.ids.forEach((id) => store.drop(data.channel_id, id)); break;
    case "MESSAGE_REACTION_ADD": store.react(data, 1); break;
    case "MESSAGE_REACTION_REMOVE": store.react(data, -1); break;
    case "MESSAGE_REACTION_REMOVE_ALL":
    case "MESSAGE_REACTION_REMOVE_EMOJI": load(data.channel_id); return;
    case "TYPING_START": store.startTyping(data.channel_id, data.user_id); showTyping(); return;
    case "BOT_STATUS": {
      const bot = store.bots.find((user) => user.id === data.user_id);
      if (bot) bot.online = data.online;
      drawSidebar();
      drawMembers();
      return;
    }
    case "COMMANDS_UPDATE": composer.reloadCommands(); return;
    case "INTERACTION_SUCCESS": settle(data.id, false); return;
    case "INTERACTION_FAILURE": settle(data.id, true); return;
    case "INTERACTION_MODAL_CREATE": showModal(data); return;
    case "HELLO":
    case "INTERACTION_CREATE": return;
    default: refresh(); return;
  }
  showTyping();
  if (data.channel_id === current) drawMessages();
}

function noteUnread(message) {
  if (message.channel_id === current || message.author.id === store.me.id) return;
  const isDm = !message.guild_id;
  const pings = isDm || message.mention_everyone || message.mentions.some((user) => user.id === store.me.id);
  const news = store.unread.get(message.channel_id) ?? { pings: 0 };
  store.unread.set(message.channel_id, { pings: news.pings + (pings ? 1 : 0) });
  if (store.channel(message.channel_id)) drawSidebar();
  else refresh();
}

// --- keys ---

function shortcuts(event) {
  if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const list = [...store.channels().filter((channel) => !channel.thread_metadata?.archived), ...store.dms];
    const index = list.findIndex((channel) => channel.id === current);
    const next = list[(index + (event.key === "ArrowDown" ? 1 : list.length - 1)) % list.length];
    if (next) openChannel(next.id);
    event.preventDefault();
  }
}

/** Arrow keys walk through the messages; the end leads back to the message box. */
function walk(event) {
  if (event.altKey || (event.key !== "ArrowDown" && event.key !== "ArrowUp") || event.target.closest("select, pre")) return;
  const rows = [...log.querySelectorAll("li.message")];
  const index = rows.indexOf(document.activeElement?.closest("li.message"));
  const next = index < 0 ? rows.length - 1 : index + (event.key === "ArrowDown" ? 1 : -1);
  if (next >= rows.length) composer.focus();
  else rows[Math.max(0, next)]?.focus();
  event.preventDefault();
}

function messageKeys(event, message) {
  if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
  const mine = message.author.id === store.me.id;
  const act = { r: () => composer.reply(message), e: mine && (() => composer.edit(message)), t: () => actions.thread(message),
    Delete: mine && (() => actions.remove(message)), Escape: () => composer.focus() }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
