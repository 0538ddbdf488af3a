/** Styles that more than one component wears. */

import {css} from './vendor/lit.js';

export const common = css`
  :host {
    display: block;
  }
  :host([hidden]),
  [hidden] {
    display: none !important;
  }
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  h1,
  h2,
  h3,
  p,
  dl,
  dd,
  ul,
  ol {
    margin: 0;
    padding: 0;
  }
  h1 {
    font-size: 1.35rem;
    font-weight: 620;
    letter-spacing: -0.01em;
    line-height: 1.3;
  }
  h2 {
    font-size: 1rem;
    font-weight: 620;
    line-height: 1.4;
  }
  h3 {
    font-size: 0.95rem;
    font-weight: 600;
    line-height: 1.4;
  }
  :is(h1, h2):focus {
    outline: none;
  }
  .soft {
    color: var(--ink-soft);
  }
  .small {
    font-size: 0.85rem;
  }
  code,
  .mono {
    font-family: var(--mono);
    font-size: 0.88em;
  }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 2px;
  }
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    margin: -1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  svg {
    display: block;
  }
  a {
    color: var(--accent);
    text-underline-offset: 2px;
  }

  button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 6px;
    min-height: 36px;
    padding: 0 14px;
    border: 1px solid var(--line);
    border-radius: 8px;
    background: var(--raised);
    color: var(--ink);
    font: inherit;
    font-size: 0.9rem;
    font-weight: 550;
    cursor: pointer;
    transition: background-color 0.12s, border-color 0.12s;
  }
  button:hover:not(:disabled) {
    border-color: var(--line-strong);
  }
  button:disabled {
    opacity: 0.55;
    cursor: default;
  }
  button.main {
    border-color: transparent;
    background: var(--accent);
    color: var(--accent-ink);
  }
  button.main:hover:not(:disabled) {
    background: color-mix(in oklab, var(--accent) 88%, var(--ink));
  }
  button.risk {
    color: var(--bad);
  }
  button.risk.main {
    background: var(--bad);
    color: var(--surface);
  }
  button.bare {
    border-color: transparent;
    background: none;
  }
  button.bare:hover:not(:disabled) {
    background: var(--sunken);
  }
  button.square {
    width: 36px;
    padding: 0;
  }

  .card {
    padding: 20px;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 8px;
  }
  .tag {
    display: inline-flex;
    align-items: center;
    gap: 6px;
    padding: 1px 8px;
    border-radius: 999px;
    background: var(--sunken);
    color: var(--ink-soft);
    font-size: 0.8rem;
    font-weight: 550;
    white-space: nowrap;
  }
  .tag.good {
    background: var(--good-wash);
    color: var(--good);
  }
  .tag.warn {
    background: var(--warn-wash);
    color: var(--warn);
  }
  .tag.bad {
    background: var(--bad-wash);
    color: var(--bad);
  }
  .note {
    padding: 10px 14px;
    border-radius: 8px;
    background: var(--sunken);
    font-size: 0.9rem;
    overflow-wrap: anywhere;
  }
  .note.bad {
    background: var(--bad-wash);
    color: var(--bad);
  }
  .note.warn {
    background: var(--warn-wash);
    color: var(--warn);
  }

  @media (max-width: 640px) {
    button {
      min-height: 44px;
    }
    button.square {
      width: 44px;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      animation: none !important;
      transition: none !important;
    }
  }
`;

/** A page of cards below a heading. */
export const page = css`
  :host {
    height: 100%;
    overflow-y: auto;
  }
  .page {
    display: grid;
    gap: 24px;
    max-width: 60rem;
    margin: 0 auto;
    grid-template-columns: minmax(0, 1fr);
    padding: 28px 24px 48px;
  }
  .page > header {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    justify-content: space-between;
    gap: 12px;
  }
  .page section {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 12px;
  }
  @media (max-width: 640px) {
    .page {
      padding: 20px 16px 32px;
    }
  }
`;

/** One centred card: the views of a connection that is not there. */
export const centred = css`
  :host {
    display: grid;
    height: 100%;
    padding: 24px 16px;
    overflow-y: auto;
  }
  .card {
    display: grid;
    gap: 16px;
    width: min(30rem, 100%);
    margin: auto;
    padding: 28px;
    box-shadow: 0 12px 40px var(--shade);
  }
  .card > .glyph {
    color: var(--ink-soft);
  }
  .card > .glyph svg {
    width: 28px;
    height: 28px;
  }
`;
