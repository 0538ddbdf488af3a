// What this page knows: people, bots, places, and the messages of places that were opened.

const TYPING_MS = 10_000;

export class Store {
  constructor() {
    this.people = [];
    this.bots = [];
    this.guilds = [];
    this.dms = [];
    this.me = null;
    this.messages = new Map(); // channel id -> messages, oldest first
    this.complete = new Set(); // channels whose beginning is loaded
    this.unread = new Map(); // channel id -> {count, mention}
    this.typing = new Map(); // channel id -> Map(user id -> when it ends)
    this.pending = new Map(); // interaction id -> {messageId, customId}
    this.online = true;
  }

  user(id) {
    return [...this.people, ...this.bots].find((user) => user.id === id) ?? null;
  }

  channels() {
    return this.guilds.flatMap((guild) => [...guild.channels, ...guild.threads]);
  }

  channel(id) {
    return [...this.channels(), ...this.dms].find((channel) => channel.id === id) ?? null;
  }

  guildOf(channel) {
    return this.guilds.find((guild) => guild.id === channel?.guild_id) ?? null;
  }

  roleName(id) {
    return this.guilds.flatMap((guild) => guild.roles).find((role) => role.id === id)?.name ?? "unknown role";
  }

  membersOf(channel) {
    const guild = this.guildOf(channel);
    if (!guild) return [this.me, ...(channel?.recipients ?? []).map((user) => this.user(user.id) ?? user)];
    return guild.members.map((member) => this.user(member.user.id) ?? member.user);
  }

  put(message) {
    const list = this.messages.get(message.channel_id);
    if (!list) return;
    const index = list.findIndex((known) => known.id === message.id);
    if (index >= 0) list[index] = { ...list[index], ...message };
    else list.push(message);
    list.sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1));
  }

  find(channelId, messageId) {
    return this.messages.get(channelId)?.find((message) => message.id === messageId) ?? null;
  }

  drop(channelId, messageId) {
    const list = this.messages.get(channelId);
    if (list) this.messages.set(channelId, list.filter((message) => message.id !== messageId));
  }

  react(event, by) {
    const message = this.find(event.channel_id, event.message_id);
    if (!message) return null;
    const key = emojiKey(event.emoji);
    let entry = message.reactions.find((reaction) => emojiKey(reaction.emoji) === key);
    if (!entry) message.reactions.push((entry = { emoji: event.emoji, count: 0, me: false }));
    entry.count += by;
    if (event.user_id === this.me.id) entry.me = by > 0;
    message.reactions = message.reactions.filter((reaction) => reaction.count > 0);
    return message;
  }

  startTyping(channelId, userId) {
    if (userId === this.me.id) return;
    if (!this.typing.has(channelId)) this.typing.set(channelId, new Map());
    this.typing.get(channelId).set(userId, Date.now() + TYPING_MS);
  }

  stopTyping(channelId, userId) {
    this.typing.get(channelId)?.delete(userId);
  }

  typers(channelId) {
    const now = Date.now();
    return [...(this.typing.get(channelId) ?? [])].filter(([, until]) => until > now).map(([id]) => this.user(id)).filter(Boolean);
  }
}

export function emojiKey(emoji) {
  return emoji.id ? `${emoji.name}:${emoji.id}` : emoji.name;
}
