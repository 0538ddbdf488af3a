// The message box: text, files, @mentions, and slash commands with their options.
import { avatar, fill, h, icon, shownName, toast } from "./dom.js";
import { api } from "./api.js";
import { plain } from "./messages.js";

const TYPING_EVERY_MS = 8_000;
const LIMIT = 2_000;
const NITRO_LIMIT = 4_000;
const FILES = 10;
const NITRO_FILES = 25;
const FILE_LIMIT = 10 * 1024 * 1024;

export class Composer {
  /** @param {import("./store.js").Store} store */
  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
    this.channel = null;
    this.replyTo = null;
    this.editing = null;
    this.files = [];
    this.commands = [];
    this.choices = [];
    this.choice = 0;
    this.typedAt = 0;
    this.text = /** @type {HTMLTextAreaElement} */ (h("textarea", {
      id: "composer-text", rows: "1", "aria-label": "Message", autocomplete: "off", spellcheck: "true",
      "aria-controls": "suggestions", "aria-autocomplete": "list",
      oninput: () => this.#changed(), onkeydown: (event) => this.#key(event), onpaste: (event) => this.#paste(event),
    }));
    this.picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => this.#take([...this.picker.files]) });
    this.context = h("div.context");
    this.suggestions = h("ul.suggestions", { id: "suggestions", role: "listbox", hidden: true });
    this.counter = h("span.counter", { hidden: true });
    this.line = h("div.inputline", {},
      h("button.attach", { type: "button", title: "Attach files", "aria-label": "Attach files", onclick: () => this.picker.click() }, icon("plus")),
      this.text, this.counter,
      h("button.send", { type: "button", title: "Send (Enter)", "aria-label": "Send", onclick: () => this.#send() }, icon("send")));
    this.form = h("div.commandform", { hidden: true });
    this.element = h("div.composer", { ondragover: (event) => event.preventDefault(), ondrop: (event) => this.#drop(event) },
      this.suggestions, this.context, this.line, this.form, this.picker);
  }

  async show(channel) {
    this.channel = channel;
    this.replyTo = this.editing = null;
    this.files = [];
    this.#closeForm();
    this.text.value = "";
    this.text.placeholder = channel.type === 1 ? `Message @${shownName(channel.recipients[0])}` : `Message #${channel.name}`;
    this.#context();
    this.#changed();
    await this.reloadCommands();
  }

  async reloadCommands() {
    if (!this.channel) return;
    const channel = this.channel;
    try {
      const { commands } = await api.commands(channel.id);
      if (channel === this.channel) this.commands = commands;
    } catch {
      this.commands = [];
    }
  }

  reply(message) {
    this.editing = null;
    this.replyTo = message;
    this.#context();
    this.text.focus();
  }

  edit(message) {
    this.replyTo = null;
    this.editing = message;
    this.text.value = this.#named(message.content);
    this.#context();
    this.#changed();
    this.text.focus();
  }

  focus() {
    this.text.focus();
  }

  // --- what is above the box ---

  #context() {
    const parts = [];
    const cancel = (label) => h("button.cancel", { type: "button", title: `${label} (Esc)`, "aria-label": label, onclick: () => this.#cancel() }, icon("close"));
    if (this.replyTo) parts.push(h("div.bar", {}, h("span", {}, "Replying to ", h("strong", {}, shownName(this.replyTo.author)), " ", h("span.dim", {}, plain(this.store, this.replyTo.content))), cancel("Do not reply")));
    if (this.editing) parts.push(h("div.bar", {}, h("span", {}, "Editing your message"), cancel("Stop editing")));
    if (this.files.length) {
      parts.push(h("div.files", {}, this.files.map((file, index) => h("span.chip", {}, icon("file"), ` ${file.name}`,
        h("button", { type: "button", "aria-label": `Remove ${file.name}`, onclick: () => { this.files.splice(index, 1); this.#context(); } }, icon("close"))))));
    }
    fill(this.context, parts);
  }

  #cancel() {
    if (this.editing) this.text.value = "";
    this.replyTo = this.editing = null;
    this.#context();
    this.#changed();
    this.text.focus();
  }

  // --- typing ---

  #changed() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, 320)}px`;
    const left = (this.store.me?.nitro ? NITRO_LIMIT : LIMIT) - [...this.text.value].length;
    this.counter.hidden = left > 200;
    this.counter.textContent = String(left);
    this.counter.classList.toggle("over", left < 0);
    this.#suggest();
    if (this.text.value && !this.text.value.startsWith("/") && !this.editing && Date.now() - this.typedAt > TYPING_EVERY_MS) {
      this.typedAt = Date.now();
      api.typing(this.channel.id).catch(() => {});
    }
  }

  #key(event) {
    if (event.isComposing) return;
    const open = !this.suggestions.hidden;
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      this.choice = (this.choice + (event.key === "ArrowDown" ? 1 : this.choices.length - 1)) % this.choices.length;
      this.#showChoices();
      event.preventDefault();
    } else if (open && (event.key === "Enter" || event.key === "Tab")) {
      this.choices[this.choice].pick();
      event.preventDefault();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape") {
      if (open) this.suggestions.hidden = true;
      else this.#cancel();
    } else if (event.key === "ArrowUp" && !this.text.value) {
      if (this.actions.editLast()) event.preventDefault();
    }
  }

  async #send() {
    const content = this.#wired(this.text.value.trim());
    if (!content && !this.files.length) return;
    const { channel, replyTo, editing, files } = this;
    const typed = this.text.value;
    this.text.value = "";
    this.replyTo = this.editing = null;
    this.files = [];
    this.typedAt = 0;
    this.#context();
    this.#changed();
    try {
      if (editing) await api.edit(channel.id, editing.id, content);
      else await api.say(channel.id, { content, reply_to: replyTo?.id ?? null, attachments: await Promise.all(files.map(encode)) });
    } catch (problem) {
      toast(problem.message, "error");
      if (this.channel === channel && !this.text.value) {
        Object.assign(this, { replyTo, editing, files });
        this.text.value = typed;
        this.#context();
        this.#changed();
      }
    }
  }

  /** "@name" to "<@id>", longest names first. */
  #wired(text) {
    const members = this.store.membersOf(this.channel).filter(Boolean);
    const names = members.flatMap((user) => [[shownName(user), user.id], [user.username, user.id]]).sort((a, b) => b[0].length - a[0].length);
    let wired = text;
    for (const [name, id] of names) wired = wired.replaceAll(`@${name}`, `<@${id}>`);
    return wired;
  }

  #named(text) {
    return text.replace(/<@!?(\d+)>/g, (all, id) => (this.store.user(id) ? `@${shownName(this.store.user(id))}` : all));
  }

  // --- suggestions ---

  #suggest() {
    const before = this.text.value.slice(0, this.text.selectionStart);
    const slash = before.match(/^\/([\w-]*(?: [\w-]*){0,2})$/);
    const at = before.match(/(?:^|\s)@([\p{L}\d_.-]*)$/u);
    this.choices = slash ? this.#commandChoices(slash[1]) : at ? this.#memberChoices(at[1]) : [];
    this.choice = 0;
    this.#showChoices();
  }

  #commandChoices(typed) {
    const all = this.commands.filter((command) => command.type === 1).flatMap((command) => leaves(command, command.name, command.options ?? []));
    return all.filter((entry) => entry.name.startsWith(typed.trimEnd())).slice(0, 8).map((entry) => ({
      label: [h("span.command", {}, `/${entry.name}`), h("span.dim", {}, entry.description),
        h("span.from", {}, shownName(this.store.user(entry.application) ?? { username: "app" }))],
      pick: () => this.#openForm(entry),
    }));
  }

  #memberChoices(typed) {
    const lower = typed.toLowerCase();
    const found = this.store.membersOf(this.channel).filter((user) => user && user.id !== this.store.me.id
      && (shownName(user).toLowerCase().includes(lower) || user.username.toLowerCase().includes(lower)));
    return found.slice(0, 8).map((user) => ({
      label: [avatar(user, "tiny"), h("span", {}, shownName(user)), user.bot ? h("span.tag", {}, "APP") : null, h("span.from", {}, user.username)],
      pick: () => {
        const at = this.text.selectionStart;
        const start = this.text.value.slice(0, at).lastIndexOf("@");
        this.text.setRangeText(`@${shownName(user)} `, start, at, "end");
        this.#changed();
        this.text.focus();
      },
    }));
  }

  #showChoices() {
    this.suggestions.hidden = !this.choices.length;
    fill(this.suggestions, this.choices.map((choice, index) => h(`li${index === this.choice ? ".chosen" : ""}`, {
      role: "option", "aria-selected": index === this.choice ? "true" : "false",
      onmousedown: (event) => { event.preventDefault(); choice.pick(); },
    }, choice.label)));
  }

  // --- a slash command with its options ---

  #openForm(entry) {
    this.suggestions.hidden = true;
    this.text.value = "";
    if (!entry.options.length) {
      this.actions.slash(this.channel, entry, {});
      return;
    }
    const inputs = entry.options.map((option) => this.#optionInput(entry, option));
    const submit = () => {
      const values = Object.fromEntries(inputs.map(({ option, read }) => [option.name, read()]).filter(([, value]) => value !== ""));
      const missing = entry.options.find((option) => option.required && !(option.name in values));
      if (missing) {
        toast(`${missing.name} is required`, "error");
        return;
      }
      this.#closeForm();
      this.actions.slash(this.channel, entry, values);
      this.text.focus();
    };
    fill(this.form, h("div.commandname", {}, `/${entry.name}`),
      inputs.map(({ option, element }) => h("label.option", {}, h("span", {}, option.name, option.required ? h("b", {}, " *") : null), element)),
      h("button.button.primary", { type: "button", onclick: submit }, "Run"),
      h("button.cancel", { type: "button", "aria-label": "Do not run it", onclick: () => { this.#closeForm(); this.text.focus(); } }, icon("close")));
    this.form.onkeydown = (event) => {
      if (event.key === "Enter" && event.target.tagName !== "BUTTON") { event.preventDefault(); submit(); }
      if (event.key === "Escape") { this.#closeForm(); this.text.focus(); }
    };
    this.form.hidden = false;
    this.line.hidden = true;
    this.form.querySelector("input, select")?.focus();
  }

  #optionInput(entry, option) {
    const about = { title: option.description, "aria-label": `${option.name}: ${option.description}` };
    const list = (items) => h("select", about, h("option", { value: "" }, "—"), items.map(([value, label]) => h("option", { value }, label)));
    let element;
    if (option.choices?.length) element = list(option.choices.map((choice) => [choice.value, choice.name]));
    else if (option.type === 5) element = list([["true", "true"], ["false", "false"]]);
    else if (option.type === 6 || option.type === 9) element = list(this.store.membersOf(this.channel).map((user) => [user.id, shownName(user)]));
    else if (option.type === 7) element = list(this.store.channels().map((channel) => [channel.id, `#${channel.name}`]));
    else element = h("input", { ...about, type: option.type === 4 || option.type === 10 ? "number" : "text", placeholder: option.description, autocomplete: "off" });
    if (option.autocomplete) this.#offer(entry, option, element);
    return { option, element, read: () => element.value.trim() };
  }

  #offer(entry, option, input) {
    const list = h("datalist", { id: `offer-${option.name}` });
    input.setAttribute("list", list.id);
    this.form.append(list);
    input.addEventListener("input", async () => {
      const { choices } = await api.suggest(this.channel.id, entry.application, entry.name, option.name, input.value).catch(() => ({ choices: [] }));
      fill(list, choices.map((choice) => h("option", { value: choice.value }, choice.name)));
      this.form.append(list);
    });
  }

  #closeForm() {
    this.form.hidden = true;
    this.line.hidden = false;
    fill(this.form);
  }

  // --- files ---

  #take(files) {
    const most = this.store.me?.nitro ? NITRO_FILES : FILES;
    for (const file of files) {
      if (file.size > FILE_LIMIT) toast(`${file.name} is larger than 10 MB`, "error");
      else if (this.files.length < most) this.files.push(file);
      else toast(`${file.name} is left out: a message takes ${most} files`, "error");
    }
    this.picker.value = "";
    this.#context();
    this.text.focus();
  }

  #paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) {
      event.preventDefault();
      this.#take(files);
    }
  }

  #drop(event) {
    event.preventDefault();
    this.#take([...(event.dataTransfer?.files ?? [])]);
  }
}

/** Every callable name of a command: itself, or its subcommands. */
function leaves(command, name, options) {
  const subs = options.filter((option) => option.type === 1 || option.type === 2);
  if (!subs.length) return [{ application: command.application_id, name, description: command.description, options }];
  return subs.flatMap((sub) => leaves({ ...command, description: sub.description }, `${name} ${sub.name}`, sub.options ?? []));
}

function encode(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ filename: file.name, content_type: file.type || "application/octet-stream", data_base64: String(reader.result).split(",")[1] ?? "" });
    reader.onerror = () => reject(new Error(`${file.name} could not be read`));
    reader.readAsDataURL(file);
  });
}
