// Discord's dialect of Markdown, as DOM nodes. Source text never becomes markup.
import { h, shownName } from "./dom.js";

const INLINE = [
  [/^`([^`\n]+)`/, (m) => h("code", {}, m[1])],
  [/^\*\*([\s\S]+?)\*\*(?!\*)/, (m, c) => h("strong", {}, inline(m[1], c))],
  [/^__([\s\S]+?)__/, (m, c) => h("u", {}, inline(m[1], c))],
  [/^~~([\s\S]+?)~~/, (m, c) => h("s", {}, inline(m[1], c))],
  [/^\|\|([\s\S]+?)\|\|/, (m, c) => spoiler(inline(m[1], c))],
  [/^\*(?!\s)([^*\n]+?)\*/, (m, c) => h("em", {}, inline(m[1], c))],
  [/^_(?!\s)([^_\n]+?)_(?![\p{L}\d])/u, (m, c) => h("em", {}, inline(m[1], c))],
  [/^\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)/, (m) => link(m[2], m[1])],
  [/^<(https?:\/\/[^\s>]+)>/, (m) => link(m[1], m[1])],
  [/^https?:\/\/[^\s<]*[^\s<.,:;"')\]]/, (m) => link(m[0], m[0])],
  [/^<@!?(\d+)>/, (m, c) => mention(c.user(m[1]), c.me === m[1])],
  [/^<@&(\d+)>/, (m, c) => h("span.mention", {}, `@${c.role(m[1])}`)],
  [/^<#(\d+)>/, (m, c) => h("span.mention", {}, `#${c.channel(m[1])}`)],
  [/^<a?:(\w+):\d+>/, (m) => `:${m[1]}:`],
  [/^@(everyone|here)\b/, (m, c) => (c.everyone ? h("span.mention.me", {}, m[0]) : m[0])],
  [/^\\([*_~`|\\[\]<>#-])/, (m) => m[1]],
];
const PLAIN = /^[^\\`*_~|[<@h]+/;

/**
 * @param {string} text
 * @param {{me: string, user: (id: string) => any, role: (id: string) => string, channel: (id: string) => string, everyone: boolean}} context
 * @returns {Node[]}
 */
export function markdown(text, context) {
  const nodes = [];
  const parts = text.split(/```(?:([\w+-]*)\n)?([\s\S]*?)```/);
  for (let index = 0; index < parts.length; index += 3) {
    if (parts[index]) nodes.push(...blocks(trimBreaks(parts[index], index > 0, index + 3 < parts.length), context));
    if (index + 2 < parts.length) nodes.push(codeBlock(parts[index + 2] ?? "", parts[index + 1] ?? ""));
  }
  return nodes;
}

function trimBreaks(text, afterCode, beforeCode) {
  let trimmed = text;
  if (afterCode) trimmed = trimmed.replace(/^\n/, "");
  if (beforeCode) trimmed = trimmed.replace(/\n$/, "");
  return trimmed;
}

function codeBlock(code, language) {
  const copy = h("button.copy", { type: "button", title: "Copy", onclick: () => navigator.clipboard?.writeText(code) }, "Copy");
  return h("div.code", {}, language ? h("span.language", {}, language) : null, copy,
    h("pre", { tabindex: "0" }, h("code", {}, code.replace(/\n$/, ""))));
}

function blocks(text, context) {
  const nodes = [];
  const lines = text.split("\n");
  let list = null;
  lines.forEach((line, number) => {
    const heading = line.match(/^(#{1,3}) (.+)$/);
    const item = line.match(/^\s*(?:[-*]|\d+\.) (.+)$/);
    const quote = line.match(/^> ?(.*)$/);
    if (item) {
      if (!list) nodes.push((list = h(/^\s*\d/.test(line) ? "ol" : "ul")));
      list.append(h("li", {}, inline(item[1], context)));
      return;
    }
    list = null;
    if (heading) nodes.push(h(`div.heading.h${heading[1].length}`, {}, inline(heading[2], context)));
    else if (quote) nodes.push(h("blockquote", {}, inline(quote[1], context)));
    else {
      nodes.push(...inline(line, context));
      if (number < lines.length - 1) nodes.push(h("br"));
    }
  });
  return nodes;
}

function inline(text, context) {
  const nodes = [];
  let rest = text;
  let plain = "";
  const flush = () => {
    if (plain) nodes.push(document.createTextNode(plain));
    plain = "";
  };
  outer: while (rest) {
    for (const [pattern, make] of INLINE) {
      const match = rest.match(pattern);
      if (!match) continue;
      flush();
      const made = make(match, context);
      nodes.push(made instanceof Node ? made : document.createTextNode(made));
      rest = rest.slice(match[0].length);
      continue outer;
    }
    const run = rest.match(PLAIN)?.[0] ?? rest[0];
    plain += run;
    rest = rest.slice(run.length);
  }
  flush();
  return nodes;
}

function link(address, text) {
  return h("a", { href: address, target: "_blank", rel: "noreferrer noopener" }, text);
}

function mention(user, isMe) {
  return h(`span.mention${isMe ? ".me" : ""}`, {}, `@${user ? shownName(user) : "unknown"}`);
}

function spoiler(children) {
  const element = h("span.spoiler", { tabindex: "0", role: "button", "aria-label": "Spoiler" }, children);
  const reveal = () => element.classList.add("shown");
  element.addEventListener("click", reveal);
  element.addEventListener("keydown", (event) => event.key === "Enter" && reveal());
  return element;
}
