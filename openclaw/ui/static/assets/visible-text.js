/** Text that decides something must not look like other text: what cannot be seen is written as a number. */

/**
 * Controls but for tab and line feed, format characters (direction overrides, zero width) and odd blanks.
 */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

/** @param {unknown} text */
export function visible(text) {
  return String(text ?? '').replace(UNSEEN, (char) => `⟨U+${char.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}⟩`);
}
