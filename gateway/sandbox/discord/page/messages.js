// One message as elements: author, text, files, embeds, components, reactions, tools.
import { avatar, h, icon, shownName, timeOf } from "./dom.js";
import { markdown } from "./markdown.js";
import { emojiKey } from "./store.js";

const GROUP_MS = 7 * 60_000;
const EPHEMERAL = 64;
const LOADING = 128;
const QUICK = ["👍", "❤️", "😂", "👀", "✅"];
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link" };

/** The list of a room, with day lines and grouped authors. */
export function messageList(store, channel, actions) {
  const rows = [];
  let before = null;
  for (const message of store.messages.get(channel.id) ?? []) {
    const at = timeOf(message.id);
    if (!before || day.format(timeOf(before.id)) !== day.format(at)) {
      rows.push(h("li.dayline", { role: "separator" }, h("span", {}, day.format(at))));
      before = null;
    }
    rows.push(messageRow(store, message, continues(before, message), actions));
    before = message;
  }
  return rows;
}

function continues(before, message) {
  return Boolean(before) && before.author.id === message.author.id && !message.message_reference && !message.interaction
    && (message.flags & EPHEMERAL) === (before.flags & EPHEMERAL) && timeOf(message.id) - timeOf(before.id) < GROUP_MS;
}

function messageRow(store, message, joined, actions) {
  const at = timeOf(message.id);
  const mine = message.author.id === store.me.id;
  const pings = !mine && (message.mention_everyone || message.mentions.some((user) => user.id === store.me.id));
  const ephemeral = Boolean(message.flags & EPHEMERAL);
  const stamp = h("time", { datetime: new Date(at).toISOString(), title: full.format(at) }, clock.format(at));
  const classes = ["message", joined && "joined", pings && "pings", ephemeral && "ephemeral", message.reply && "target"];
  return h(`li.${classes.filter(Boolean).join(".")}`, {
    tabindex: "-1", "data-id": message.id, "aria-label": `${shownName(message.author)}, ${clock.format(at)}: ${message.content.slice(0, 200)}`,
    onkeydown: (event) => actions.keys(event, message),
  },
  replyLine(store, message, actions),
  h("div.gutter", {}, joined ? stamp.cloneNode(true) : avatar(message.author)),
  h("div.body", {},
    joined ? null : h("div.byline", {},
      h("span.author", {}, shownName(message.author)), message.author.bot ? h("span.tag", {}, "APP") : null, stamp),
    content(store, message),
    extras(store, message),
    (message.attachments ?? []).map(attachment),
    (message.embeds ?? []).map((embed) => embedBox(store, message, embed)),
    (message.components ?? []).map((component) => componentBox(store, message, component, actions)),
    message.thread ? threadLine(message.thread, actions) : null,
    reactions(store, message, actions),
    ephemeral ? h("div.note", {}, icon("eye"), " Only you can see this") : null),
  tools(store, message, mine, ephemeral, actions));
}

function content(store, message) {
  if (message.flags & LOADING) return h("div.content.thinking", {}, h("span.dots", {}, h("i"), h("i"), h("i")), " thinking…");
  if (message.type === 18) return h("div.content.system", {}, `started a thread: ${message.content}`);
  const context = contextOf(store, message.mention_everyone);
  const text = message.type === 21 ? message.referenced_message?.content ?? "" : message.content;
  const edited = message.edited_timestamp ? h("span.edited", { title: full.format(new Date(message.edited_timestamp)) }, "(edited)") : null;
  return text || edited ? h("div.content", {}, markdown(text, context), edited) : null;
}

/** What the text of a message may name. */
function contextOf(store, everyone = false) {
  return {
    me: store.me.id,
    user: (id) => store.user(id),
    role: (id) => store.roleName(id),
    channel: (id) => store.channel(id)?.name ?? "unknown",
    everyone,
  };
}

/** What a message can be besides text and files. */
function extras(store, message) {
  const forwarded = (message.message_snapshots ?? []).map(({ message: shot }) => h("div.embed", {},
    h("div.embed-author", {}, "Forwarded"), shot.content ? h("div.embed-text", {}, markdown(shot.content, contextOf(store))) : null,
    (shot.sticker_items ?? []).map(sticker), (shot.attachments ?? []).map(attachment)));
  const poll = message.poll ? h("div.embed", {}, h("div.embed-title", {}, message.poll.question.text),
    h("div.fields", {}, message.poll.answers.map((answer) => h("div.field", {}, `○ ${answer.poll_media.text}`)))) : null;
  return [forwarded, (message.sticker_items ?? []).map(sticker), poll];
}

function sticker(item) {
  return h("div.note", {}, `Sticker: ${item.name}`);
}

function replyLine(store, message, actions) {
  if (message.interaction) {
    return h("div.reply", {}, h("span.author", {}, shownName(message.interaction.user)), " used ", h("span.command", {}, `/${message.interaction.name}`));
  }
  if (!message.message_reference || message.type !== 19) return null;
  const target = message.referenced_message;
  if (!target) return h("div.reply", {}, h("em", {}, "The original message was deleted"));
  return h("button.reply", { type: "button", onclick: () => actions.jump(target.id) },
    avatar(target.author, "tiny"), h("span.author", {}, shownName(target.author)),
    h("span.excerpt", {}, plain(store, target.content) || "a message without text"));
}

/** Text with mentions named, for one line. */
export function plain(store, text) {
  return text.replace(/<@!?(\d+)>/g, (_, id) => `@${store.user(id) ? shownName(store.user(id)) : "unknown"}`)
    .replace(/<#(\d+)>/g, (_, id) => `#${store.channel(id)?.name ?? "unknown"}`).replace(/\s+/g, " ").slice(0, 140);
}

function attachment(file) {
  const size = file.size < 1024 ? `${file.size} B` : file.size < 1 << 20 ? `${(file.size / 1024).toFixed(1)} KB` : `${(file.size / (1 << 20)).toFixed(1)} MB`;
  if (/^image\/(png|jpeg|gif|webp)$/.test(file.content_type ?? "")) {
    return h("a.picture", { href: file.url, target: "_blank", rel: "noreferrer" }, h("img", { src: file.url, alt: file.description ?? file.filename, loading: "lazy" }));
  }
  return h("a.file", { href: file.url, target: "_blank", rel: "noreferrer" },
    icon("file"), h("span", {}, h("span.name", {}, file.filename), h("span.size", {}, size)));
}

function embedBox(store, message, embed) {
  const context = contextOf(store);
  const box = h("div.embed", {},
    embed.author?.name ? h("div.embed-author", {}, embed.author.name) : null,
    embed.title ? h("div.embed-title", {}, markdown(embed.title, context)) : null,
    embed.description ? h("div.embed-text", {}, markdown(embed.description, context)) : null,
    embed.fields?.length ? h("div.fields", {}, embed.fields.map((field) => h(`div.field${field.inline ? ".inline" : ""}`, {},
      h("div.field-name", {}, markdown(field.name, context)), h("div", {}, markdown(field.value, context))))) : null,
    embed.footer?.text ? h("div.embed-footer", {}, embed.footer.text) : null);
  if (embed.color) box.style.borderLeftColor = `#${embed.color.toString(16).padStart(6, "0")}`;
  return box;
}

function componentBox(store, message, component, actions) {
  switch (component.type) {
    case 1: return h("div.buttons", {}, component.components.map((child) => componentBox(store, message, child, actions)));
    case 2: return button(store, message, component, actions);
    case 3: return select(message, component, actions);
    case 10: return h("div.content", {}, markdown(component.content ?? "", contextOf(store)));
    case 14: return h("hr");
    case 9: return h("div.section", {}, component.components.map((child) => componentBox(store, message, child, actions)),
      component.accessory ? componentBox(store, message, component.accessory, actions) : null);
    case 17: return h("div.embed", {}, component.components.map((child) => componentBox(store, message, child, actions)));
    default: return h("div.note", {}, `A component of type ${component.type}, which this page cannot show`);
  }
}

function button(store, message, component, actions) {
  const label = [component.emoji?.name, component.label].filter(Boolean).join(" ");
  if (component.style === 5) return h("a.button.link", { href: component.url, target: "_blank", rel: "noreferrer noopener" }, label, " ↗");
  const waiting = [...store.pending.values()].some((p) => p.messageId === message.id && p.customId === component.custom_id);
  return h(`button.button.${STYLES[component.style] ?? "secondary"}${waiting ? ".waiting" : ""}`, {
    type: "button", disabled: component.disabled || waiting, "aria-busy": waiting ? "true" : null,
    onclick: () => actions.click(message, component.custom_id),
  }, label);
}

function select(message, component, actions) {
  const several = (component.max_values ?? 1) > 1;
  const list = h("select", { "aria-label": component.placeholder ?? "Choose", multiple: several, disabled: component.disabled,
    onchange: (event) => actions.click(message, component.custom_id, [...event.target.selectedOptions].map((option) => option.value).filter(Boolean)) },
  several ? null : h("option", { value: "" }, component.placeholder ?? "Choose…"),
  (component.options ?? []).map((option) => h("option", { value: option.value, selected: option.default }, option.label)));
  return list;
}

function threadLine(thread, actions) {
  return h("button.threadline", { type: "button", onclick: () => actions.open(thread.id) }, icon("thread"), " ", h("strong", {}, thread.name), h("span", {}, " Open thread ›"));
}

function reactions(store, message, actions) {
  if (!message.reactions?.length) return null;
  return h("div.reactions", {}, message.reactions.map((reaction) => h(`button.reaction${reaction.me ? ".mine" : ""}`, {
    type: "button", "aria-pressed": reaction.me ? "true" : "false", "aria-label": `${reaction.emoji.name}, ${reaction.count}`,
    onclick: () => actions.react(message, emojiKey(reaction.emoji), reaction.me),
  }, h("span", {}, reaction.emoji.name), h("span.count", {}, reaction.count))));
}

function tools(store, message, mine, ephemeral, actions) {
  if (ephemeral) return null;
  const tool = (label, title, run) => h("button.tool", { type: "button", title, "aria-label": title, onclick: run }, label);
  return h("div.tools", {},
    QUICK.slice(0, 3).map((emoji) => tool(emoji, `React with ${emoji}`, () => actions.react(message, emoji, false))),
    tool(icon("reply"), "Reply (R)", () => actions.reply(message)),
    mine ? tool(icon("edit"), "Edit (E)", () => actions.edit(message)) : null,
    store.guildOf(store.channel(message.channel_id)) && !message.thread ? tool(icon("thread"), "Start a thread (T)", () => actions.thread(message)) : null,
    mine ? tool(icon("trash"), "Delete (Delete)", () => actions.remove(message)) : null);
}
