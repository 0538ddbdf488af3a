/** Styles of the parts that pages are made of. */

import {css} from './vendor/lit.js';

/** Parts that most pages have: the tools above a list, lists of cards, facts, and what is shown while nothing is there. */
export const parts = css`
  .tools {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 8px 12px;
  }
  .tools input[type='search'] {
    flex: 1 1 14rem;
    max-width: 26rem;
  }
  ul.cards {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 12px;
    list-style: none;
  }
  :is(ul, ol).lines {
    padding: 0 20px;
    list-style: none;
  }
  :is(ul, ol).lines > li {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    justify-content: space-between;
    gap: 8px 16px;
    min-height: 56px;
    padding: 10px 0;
  }
  :is(ul, ol).lines > li + li {
    border-top: 1px solid var(--line);
  }
  :is(ul, ol).lines > li > .grow {
    flex: 1 1 12rem;
    min-width: 0;
    overflow-wrap: anywhere;
  }
  .top {
    display: flex;
    flex-wrap: wrap;
    align-items: flex-start;
    justify-content: space-between;
    gap: 12px;
  }
  .top > div:first-child {
    flex: 1 1 11rem;
    min-width: 0;
    overflow-wrap: anywhere;
  }
  .top > :not(.row, :first-child) {
    flex: none;
  }
  .name {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 4px 8px;
  }
  dl.facts {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr));
    gap: 10px 20px;
    font-size: 0.9rem;
  }
  .facts dt {
    color: var(--ink-soft);
    font-size: 0.8rem;
  }
  .facts dd {
    overflow-wrap: anywhere;
  }
  .facts > .wide {
    grid-column: span 2;
  }
  .card.state {
    display: grid;
    justify-items: center;
    gap: 8px;
    padding: 40px 24px;
    color: var(--ink-soft);
    text-align: center;
    overflow-wrap: anywhere;
  }
  .card.state h2 {
    color: var(--ink);
  }
  .card.state svg {
    width: 28px;
    height: 28px;
  }
  .skeleton {
    display: grid;
    gap: 12px;
    animation: appear 0.3s 0.25s both;
  }
  .skeleton i {
    height: 72px;
    border-radius: var(--radius);
    background: linear-gradient(90deg, var(--sunken) 30%, var(--surface) 50%, var(--sunken) 70%) 0 0 / 300% 100%;
    animation: shimmer 1.8s infinite linear;
  }
  @keyframes appear {
    from {
      opacity: 0;
    }
  }
  @keyframes shimmer {
    from {
      background-position: 100% 0;
    }
    to {
      background-position: 0 0;
    }
  }
  @media (max-width: 640px) {
    dl.facts {
      grid-template-columns: 1fr 1fr;
    }
    .top > .row {
      width: 100%;
    }
    .top > .row > button {
      flex: 1 1 auto;
    }
    :is(ul, ol).lines {
      padding: 0 16px;
    }
  }
`;

/** Fields of forms and of the tools above a list. */
export const fields = css`
  input:not([type='checkbox'], [type='radio']),
  select,
  textarea {
    min-width: 0;
    min-height: 36px;
    padding: 6px 12px;
    border: 1px solid var(--line-strong);
    border-radius: 8px;
    background: var(--raised);
    color: var(--ink);
    font: inherit;
    font-size: 0.92rem;
  }
  textarea {
    line-height: 1.5;
    resize: vertical;
  }
  :is(input, select, textarea)::placeholder {
    color: var(--ink-soft);
    opacity: 1;
  }
  :is(input, select, textarea):disabled {
    opacity: 0.6;
  }
  input[type='checkbox'] {
    width: 18px;
    height: 18px;
    margin: 0;
    accent-color: var(--accent);
  }
  .field {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 4px;
  }
  .field > label,
  .field > .label {
    font-size: 0.88rem;
    font-weight: 600;
  }
  .check {
    display: flex;
    align-items: center;
    gap: 10px;
    min-height: 36px;
    font-size: 0.92rem;
  }
  .wrong {
    color: var(--bad);
    font-size: 0.85rem;
  }
  @media (max-width: 640px) {
    /* Anything smaller makes a phone zoom into the field. */
    input:not([type='checkbox'], [type='radio']),
    select,
    textarea {
      min-height: 44px;
      font-size: 16px;
    }
  }
`;

/** A dialog in the middle of the page; the browser keeps the focus inside. */
export const dialogs = css`
  dialog {
    width: min(var(--dialog-width, 26rem), calc(100vw - 32px));
    max-height: calc(100dvh - 32px);
    padding: 24px;
    border: 1px solid var(--line);
    border-radius: 14px;
    background: var(--raised);
    color: var(--ink);
    box-shadow: 0 24px 64px var(--shade);
    overflow-y: auto;
    overflow-wrap: anywhere;
  }
  dialog::backdrop {
    background: rgb(0 0 0 / 45%);
  }
`;
