/** Pure: on which line of a JSON5 text a dotted path is, so that a problem can be shown where it is. */

const TOKEN = /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"(?:\\[\s\S]|[^"\\])*"?|'(?:\\[\s\S]|[^'\\])*'?|[{}[\],:]|[^\s{}[\],:"'/]+|\//g;

/**
 * @param {string} text
 * @returns {Map<string, number>} line numbers from 1 by path: `channels.discord.guilds`, `agents.list[0].id`
 */
export function pathLines(text) {
  /** @type {Map<string, number>} */
  const lines = new Map();
  /** @type {{path: string, list: boolean, index: number, key: string}[]} the objects and lists we are inside of */
  const open = [];
  let line = 1;
  let seen = 0;
  let expectsKey = false;
  for (const {0: token, index} of text.matchAll(TOKEN)) {
    line += text.slice(seen, index).split('\n').length - 1;
    seen = index;
    if (token.startsWith('//') || token.startsWith('/*')) continue;
    const here = open.at(-1);
    if (expectsKey && here && !here.list && !'{}[],:'.includes(token)) {
      here.key = token.replace(/^(['"])(.*)\1$/s, '$2');
      lines.set(joined(here.path, here.key), line);
      expectsKey = false;
    } else if (token === '{' || token === '[') {
      const path = here ? (here.list ? `${here.path}[${here.index}]` : joined(here.path, here.key)) : '';
      if (here?.list) lines.set(path, line);
      open.push({path, list: token === '[', index: 0, key: ''});
      expectsKey = token === '{';
    } else if (token === '}' || token === ']') {
      open.pop();
      expectsKey = false;
    } else if (token === ',' && here) {
      here.index += 1;
      expectsKey = !here.list;
    } else if (here?.list && token !== ':') {
      lines.set(`${here.path}[${here.index}]`, line);
    }
  }
  return lines;
}

/**
 * @param {string} path
 * @param {string} key
 */
const joined = (path, key) => (path ? `${path}.${key}` : key);

/**
 * The line of a path, or of the nearest thing around it; 0 when there is none.
 * @param {Map<string, number>} lines
 * @param {string} path with indexes as `[0]` or as `.0`
 */
export function lineOf(lines, path) {
  // A number may be an index, or the name of a key, such as a server's id.
  const asIndex = path.replace(/\.(\d+)(?=\.|$|\[)/g, '[$1]');
  const [rest] = [nearest(lines, path), nearest(lines, asIndex)].sort((one, other) => other.length - one.length);
  return lines.get(rest) ?? 0;
}

/**
 * @param {Map<string, number>} lines
 * @param {string} path
 * @returns {string} the path, or the longest beginning of it that there is
 */
function nearest(lines, path) {
  let rest = path;
  while (rest && !lines.has(rest)) {
    const shorter = rest.replace(/(?:^|\.)[^.[\]]*$|\[\d+\]$/, '');
    // A name in brackets, which may have dots in it, goes letter by letter.
    rest = shorter === rest ? rest.slice(0, -1) : shorter;
  }
  return rest;
}

/**
 * @param {string} text
 * @param {string} path
 */
export const lineOfPath = (text, path) => (path ? lineOf(pathLines(text), path) : 0);
