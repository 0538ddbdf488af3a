/** Keys that work on every page. */

const THEN_MS = 1200;

/**
 * @typedef {object} Actions
 * @property {(letter: string) => void} go after `g`
 * @property {() => void} help
 * @property {() => void} find
 */

/**
 * @param {Actions} actions
 * @returns {(event: KeyboardEvent) => void} a listener for keydown
 */
export function shortcuts(actions) {
  let goingUntil = 0;
  return (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || writes(event)) return;
    if (goingUntil > event.timeStamp) {
      goingUntil = 0;
      actions.go(event.key.toLowerCase());
    } else if (event.key === 'g') {
      goingUntil = event.timeStamp + THEN_MS;
    } else if (event.key === '?') {
      actions.help();
    } else if (event.key === '/') {
      event.preventDefault();
      actions.find();
    }
  };
}

/** @param {KeyboardEvent} event whether the key belongs to a field, or to an open dialog */
function writes(event) {
  return event.composedPath().some((node) => {
    if (!(node instanceof HTMLElement)) return false;
    return node.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(node.tagName) || (node instanceof HTMLDialogElement && node.open);
  });
}
