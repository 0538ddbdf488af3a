// Builds elements. Text only ever becomes text nodes: nothing on this page parses markup from a message.

/**
 * @param {string} tag  element name, with classes after dots: "div.message.own"
 * @param {Record<string, any>} [props]  attributes; on… are listeners, null and false are left out
 * @param {...(Node|string|null|undefined|false|Array<any>)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value") /** @type {any} */ (element).value = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child || child === 0).map(asNode));
  return element;
}

/** @param {any} child */
function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/** Replace everything inside `parent`. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean).map(asNode));
}

/** A round avatar with a person's first letter in a colour of their own. */
export function avatar(user, size = "") {
  const name = shownName(user);
  const colour = Number(BigInt(user.id) % 7n);
  return h(`span.avatar.tint${colour}${size ? "." + size : ""}`, { "aria-hidden": "true" }, [...name][0] ?? "?");
}

/** What people call a user. */
export function shownName(user) {
  return user.global_name || user.username;
}

/** A short message that goes away by itself. */
export function toast(text, kind = "info") {
  const box = document.getElementById("toasts");
  const note = h(`div.toast.${kind}`, {}, text);
  box.append(note);
  setTimeout(() => note.remove(), kind === "error" ? 7000 : 3500);
}

/** The time of an id, in ms since 1970. */
export function timeOf(snowflake) {
  return Number((BigInt(snowflake) >> 22n) + 1420070400000n);
}

const SHAPES = {
  plus: "M8 3v10M3 8h10",
  send: "M2.5 13.5 14 8 2.5 2.5 4.5 8zM4.5 8H9",
  thread: "M3 3h10v7H7l-3 3v-3H3zM6 5.7h4M6 7.6h3",
  reply: "M7 4 3 8l4 4M3.5 8H10a3 3 0 0 1 3 3v1",
  edit: "M3 13l.6-2.8L11 2.8 13.2 5l-7.4 7.4zM9.6 4.2l2.2 2.2",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 8.5h6l.5-8.5M7 7v3.5M9 7v3.5",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  eye: "M1.8 8S4 4 8 4s6.2 4 6.2 4S12 12 8 12 1.8 8 1.8 8zM8 6.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2z",
  close: "M4 4l8 8M12 4l-8 8",
};

/** A line drawing that needs no font. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" })) picture.setAttribute(key, value);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name]);
  picture.append(path);
  return picture;
}
