/** How the place to type in looks, with its list of commands. */

import {css} from './vendor/lit.js';

export const composer = css`
  form {
    display: grid;
    grid-template-columns: 1fr auto;
    align-items: end;
    gap: 8px;
    padding: 8px;
    border: 1px solid var(--line-strong);
    border-radius: 14px;
    background: var(--raised);
    box-shadow: 0 4px 18px var(--shade);
  }
  form:focus-within {
    border-color: var(--accent);
    outline: 1px solid var(--accent);
    outline-offset: 0;
  }
  textarea {
    width: 100%;
    min-height: 36px;
    max-height: 240px;
    padding: 7px 8px;
    border: 0;
    outline: 0;
    background: none;
    color: inherit;
    font: inherit;
    line-height: 1.45;
    resize: none;
  }
  textarea:focus-visible {
    outline: none; /* the frame around it shows the focus */
  }
  textarea::placeholder {
    color: var(--ink-soft);
    opacity: 1;
  }
  .commands {
    margin: 0 0 8px;
    padding: 6px;
    border: 1px solid var(--line);
    border-radius: 12px;
    background: var(--raised);
    box-shadow: 0 4px 18px var(--shade);
    list-style: none;
  }
  .commands li {
    display: grid;
    grid-template-columns: 6.5rem minmax(0, 1fr);
    align-items: baseline;
    gap: 8px;
    padding: 7px 10px;
    border-radius: 8px;
    font-size: 0.9rem;
    cursor: pointer;
  }
  .commands li:is([aria-selected='true'], :hover) {
    background: var(--accent-wash);
  }
  /* Its place is kept, so that what is typed does not wrap anew when an answer begins. */
  .idle {
    visibility: hidden;
  }
  .buttons {
    display: flex;
    gap: 6px;
  }
  .hint {
    margin: 6px 10px 0;
    color: var(--ink-soft);
    font-size: 0.78rem;
  }
  kbd {
    font: inherit;
    font-weight: 600;
  }
  @media (max-width: 640px) {
    /* Anything smaller makes a phone zoom into the field. */
    textarea {
      min-height: 44px;
      padding-block: 10px;
      font-size: 16px;
    }
    .hint {
      display: none;
    }
  }
`;
