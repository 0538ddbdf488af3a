/** How the frame looks: a column beside the page, or a bar above it and the navigation below. */

import {css} from './vendor/lit.js';

export const frame = css`
  :host {
    display: grid;
    grid-template: auto auto minmax(0, 1fr) auto / minmax(0, 1fr);
    height: 100%;
    min-height: 0;
    position: relative;
  }
  header {
    display: flex;
    align-items: center;
    gap: 20px;
    min-height: 52px;
    padding: 0 8px 0 14px;
    border-bottom: 1px solid var(--line);
    background: var(--surface);
  }
  header.side {
    position: absolute;
    inset: 0 auto 0 0;
    flex-direction: column;
    align-items: stretch;
    gap: 16px;
    width: 224px;
    padding: 16px 12px 12px;
    border-right: 1px solid var(--line);
    border-bottom: 0;
    overflow-y: auto;
  }
  header.side ~ * {
    margin-left: 224px;
  }
  .brand {
    display: flex;
    align-items: center;
    gap: 10px;
    font-weight: 650;
    letter-spacing: -0.01em;
  }
  .side .brand {
    padding: 0 8px;
  }
  .end {
    display: flex;
    align-items: center;
    gap: 4px;
    margin-left: auto;
  }
  .side .end {
    flex-direction: column;
    align-items: stretch;
    gap: 8px;
    margin: auto 0 0;
  }
  .buttons {
    display: flex;
    gap: 4px;
  }
  .side .buttons {
    justify-content: space-between;
  }
  .status i {
    width: 7px;
    height: 7px;
    border-radius: 50%;
    background: currentColor;
  }
  .side .status {
    align-self: flex-start;
    margin-left: 8px;
  }
  .skip {
    position: absolute;
    top: 8px;
    left: 8px;
    z-index: 2;
    padding: 10px 16px;
    border-radius: 8px;
    background: var(--accent);
    color: var(--accent-ink);
  }
  .skip:not(:focus) {
    clip-path: inset(50%);
  }
  .banner {
    grid-row: 2;
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    justify-content: center;
    gap: 4px 16px;
    padding: 6px 20px;
    background: var(--warn-wash);
    color: var(--warn);
    font-size: 0.9rem;
    font-weight: 550;
  }
  .banner button {
    min-height: 30px;
    padding: 0 10px;
    border-color: currentColor;
    background: none;
    color: inherit;
    font-size: 0.85rem;
  }
  main {
    grid-row: 3;
    min-height: 0;
    overflow: hidden;
  }
  main:focus {
    outline: none;
  }
  oc-navigation[narrow] {
    grid-row: 4;
  }
`;
