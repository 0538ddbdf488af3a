/** Pure: a JSON schema and its hints to the fields of a form, and what was typed to a merge patch. */

export const REDACTED = '__OPENCLAW_REDACTED__';

/**
 * @typedef {object} Field
 * @property {string[]} path
 * @property {string} label
 * @property {string} help
 * @property {'boolean' | 'number' | 'text' | 'choice' | 'list' | 'json'} kind
 * @property {string[]} options of a choice
 * @property {boolean} secret
 * @property {boolean} advanced
 * @property {unknown} fallback what counts when nothing is set
 * @property {string} placeholder
 * @property {number} order
 */

const DEEPEST = 6;

/**
 * @param {any} schema the whole one, for its definitions
 * @param {any} part
 * @returns {any} the part itself, with references followed and "or nothing" taken away
 */
function plain(schema, part) {
  let found = part ?? {};
  for (let steps = 0; found.$ref && steps < DEEPEST; steps += 1) {
    const {$ref, ...beside} = found;
    const target = String($ref).split('/').slice(1).reduce((/** @type {any} */ at, step) => at?.[step], schema) ?? {};
    found = {...target, ...beside};
  }
  const any = found.anyOf ?? found.oneOf;
  if (Array.isArray(any)) {
    const real = any.filter((one) => one?.type !== 'null');
    const {anyOf, oneOf, ...beside} = found;
    if (real.length === 1) return plain(schema, {...real[0], ...beside});
    const constants = real.map((one) => one?.const ?? one?.enum?.[0]);
    if (real.every((one) => 'const' in one || one?.enum?.length === 1)) return {...beside, enum: constants};
  }
  if (Array.isArray(found.allOf) && found.allOf.length === 1) {
    const {allOf, ...beside} = found;
    return plain(schema, {...allOf[0], ...beside});
  }
  return found;
}

/**
 * The parts on the first level, in reading order.
 * @param {any} described the answer of config.schema
 * @returns {{name: string, label: string}[]}
 */
export function sections({schema, uiHints = {}}) {
  const order = (/** @type {string} */ name) => Number(uiHints[name]?.order ?? 1e6);
  return Object.keys(plain(schema, schema).properties ?? {})
    .filter((name) => !name.startsWith('$'))
    .map((name) => ({name, label: String(uiHints[name]?.label ?? name)}))
    .sort((a, b) => order(a.name) - order(b.name) || a.label.localeCompare(b.label));
}

/** @type {WeakMap<object, Map<string, Field[]>>} a description does not change, and has hundreds of fields */
const fieldsByDescription = new WeakMap();

/**
 * @param {any} described the answer of config.schema
 * @param {string} section
 * @returns {Field[]}
 */
export function fieldsOf(described, section) {
  const known = fieldsByDescription.get(described) ?? new Map();
  fieldsByDescription.set(described, known);
  const fields = known.get(section) ?? readFields(described, section);
  known.set(section, fields);
  return fields;
}

/**
 * @param {any} described
 * @param {string} section
 * @returns {Field[]}
 */
function readFields({schema, uiHints = {}}, section) {
  /** @type {Field[]} */
  const fields = [];
  const walk = (/** @type {any} */ raw, /** @type {string[]} */ path) => {
    const part = plain(schema, raw);
    const children = Object.entries(part.properties ?? {});
    if (children.length && path.length < DEEPEST) {
      for (const [name, child] of children) walk(child, [...path, name]);
      return;
    }
    const hint = uiHints[path.join('.')] ?? {};
    const kind = kindOf(schema, part);
    fields.push({
      path,
      label: String(hint.label ?? path.slice(1).join(' › ') ?? section),
      help: String(hint.help ?? part.description ?? ''),
      kind,
      options: kind === 'choice' ? part.enum.map(String) : [],
      secret: hint.sensitive === true,
      advanced: hint.advanced === true,
      fallback: part.default,
      placeholder: String(hint.placeholder ?? ''),
      order: Number(hint.order ?? 1e6),
    });
  };
  walk(plain(schema, schema).properties?.[section], [section]);
  return fields.map((field, index) => ({field, index})).sort((a, b) => a.field.order - b.field.order || a.index - b.index).map(({field}) => field);
}

/**
 * @param {any} schema
 * @param {any} part
 * @returns {Field['kind']}
 */
function kindOf(schema, part) {
  if (Array.isArray(part.enum) && part.enum.every((/** @type {any} */ one) => typeof one === 'string')) return 'choice';
  if (part.type === 'boolean') return 'boolean';
  if (part.type === 'number' || part.type === 'integer') return 'number';
  if (part.type === 'string') return 'text';
  if (part.type === 'array' && plain(schema, part.items).type === 'string') return 'list';
  return 'json';
}

/**
 * @param {any} value
 * @param {string[]} path
 */
export const valueAt = (value, path) => path.reduce((at, step) => (at && typeof at === 'object' ? at[step] : undefined), value);

/**
 * A field's value as it stands in its input.
 * @param {Field} field
 * @param {unknown} value
 */
export function shownValue({kind, secret}, value) {
  if (value === undefined || value === null || (secret && value === REDACTED)) return '';
  if (kind === 'list' && Array.isArray(value)) return value.join('\n');
  if (kind === 'json' || typeof value === 'object') return JSON.stringify(value, null, 2);
  return String(value);
}

/**
 * What was typed, as a value; nothing typed takes the setting away.
 * @param {Field} field
 * @param {string} text
 * @returns {{value: unknown, wrong: '' | 'badNumber' | 'badJson'}} null as value means: unset
 */
export function typedValue({kind}, text) {
  if (text.trim() === '') return {value: null, wrong: ''};
  if (kind === 'boolean') return {value: text === 'true', wrong: ''};
  if (kind === 'number') return Number.isFinite(Number(text)) ? {value: Number(text), wrong: ''} : {value: null, wrong: 'badNumber'};
  if (kind === 'list') return {value: text.split('\n').map((line) => line.trim()).filter(Boolean), wrong: ''};
  if (kind !== 'json') return {value: text, wrong: ''};
  try {
    return {value: JSON.parse(text), wrong: ''};
  } catch {
    return {value: null, wrong: 'badJson'};
  }
}

/**
 * @param {Iterable<[string[], unknown]>} edits
 * @returns {any} a JSON merge patch
 */
export function patchOf(edits) {
  /** @type {any} */
  const patch = Object.create(null);
  for (const [path, value] of edits) {
    let at = patch;
    for (const step of path.slice(0, -1)) at = at[step] ??= Object.create(null);
    at[path[path.length - 1]] = value;
  }
  return patch;
}
