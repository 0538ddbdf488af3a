/** Pictures, drawn on a 20 by 20 grid in the current text colour; all are decoration beside words. */

import {svg} from './vendor/lit.js';

/** @param {unknown} shape */
const icon = (shape) => svg`<svg width="20" height="20" viewBox="0 0 20 20" fill="none" stroke="currentColor"
  stroke-width="1.600" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">${shape}</svg>`;

export const chatIcon = icon(svg`<path d="M4 4.500h12a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H9.500L6 16.500v-3H4a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1Z"/>`);
export const overviewIcon = icon(svg`<path d="M3 10.500h3l2-5.500 4 10 2-4.500h3"/>`);
export const devicesIcon = icon(svg`<rect x="3" y="4" width="10" height="9" rx="1.500"/><path d="M6 16h4"/><rect x="12.500" y="8" width="5" height="8.500" rx="1.200"/>`);
export const sunIcon = icon(svg`<circle cx="10" cy="10" r="3.200"/><path d="M10 2.500v1.500M10 16v1.500M2.500 10H4M16 10h1.500M4.700 4.700l1 1M14.300 14.300l1 1M15.300 4.700l-1 1M5.700 14.300l-1 1"/>`);
export const moonIcon = icon(svg`<path d="M16 11.800A6.500 6.500 0 0 1 8.200 4a6.500 6.500 0 1 0 7.800 7.800Z"/>`);
export const systemIcon = icon(svg`<circle cx="10" cy="10" r="6.500"/><path d="M10 3.500v13a6.500 6.500 0 0 0 0-13Z" fill="currentColor" stroke="none"/>`);
export const sendIcon = icon(svg`<path d="M10 16V4.500M5 9l5-5 5 5"/>`);
export const stopIcon = icon(svg`<rect x="6" y="6" width="8" height="8" rx="1.500" fill="currentColor"/>`);
export const lockIcon = icon(svg`<rect x="4.500" y="9" width="11" height="7.500" rx="1.500"/><path d="M7 9V6.500a3 3 0 0 1 6 0V9"/>`);
export const keyIcon = icon(svg`<circle cx="7" cy="13" r="3.500"/><path d="m9.500 10.500 6-6M13 7l2 2"/>`);
export const linkIcon = icon(svg`<rect x="3" y="5" width="9" height="7" rx="1.200"/><path d="M5.500 15h4M14.500 8v6M12 11.500l2.500 2.500 2.500-2.500"/>`);
export const offlineIcon = icon(svg`<path d="M3 3l14 14M6.500 12.500a5 5 0 0 1 3-1.450M13.500 12.500l-.4-.35M4 9.700a9 9 0 0 1 3-1.800M16 9.700a9 9 0 0 0-5.500-2.650"/><circle cx="10" cy="15.500" r=".6" fill="currentColor"/>`);
export const deniedIcon = icon(svg`<circle cx="10" cy="10" r="6.700"/><path d="M5.300 5.300l9.400 9.400"/>`);
export const refreshIcon = icon(svg`<path d="M16 8a6.300 6.300 0 0 0-11.500-1M4 3.500V7h3.500M4 12a6.300 6.300 0 0 0 11.500 1M16 16.500V13h-3.500"/>`);
export const copyIcon = icon(svg`<rect x="7" y="7" width="9" height="9" rx="1.500"/><path d="M4.500 13H4V4.500A.5.5 0 0 1 4.500 4H13v.5"/>`);
export const outIcon = icon(svg`<path d="M8 4H5a1 1 0 0 0-1 1v10a1 1 0 0 0 1 1h3M12.500 13.500 16 10l-3.500-3.500M16 10H8"/>`);
export const approvalsIcon = icon(svg`<path d="M10 2.800 16 5v4.500c0 3.600-2.400 6.300-6 7.700-3.600-1.400-6-4.100-6-7.700V5l6-2.200Z"/><path d="m7.300 9.800 2 2 3.500-3.800"/>`);
export const postsIcon = icon(svg`<path d="M3.500 8.500v3a1 1 0 0 0 1 1H7l6.500 3.500v-12L7 7.500H4.500a1 1 0 0 0-1 1ZM7 12.500v3.500h2v-2.500M16 8a3 3 0 0 1 0 4"/>`);
export const sessionsIcon = icon(svg`<path d="M6.500 3.500h9a1 1 0 0 1 1 1v6.500a1 1 0 0 1-1 1"/><path d="M4.500 7h8a1 1 0 0 1 1 1v5a1 1 0 0 1-1 1H8l-2.500 2.500V14h-1a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1Z"/>`);
export const agentIcon = icon(svg`<path d="M6 3.500h7l3 3v9a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1Z"/><path d="M12.500 3.500V7H16M8 10h5M8 13h5"/>`);
export const usageIcon = icon(svg`<path d="M3.500 16.500h13M6 13.500v-3M10 13.500v-9M14 13.500V8"/>`);
export const channelsIcon = icon(svg`<circle cx="10" cy="10" r="1.800"/><path d="M6.500 13.500a5 5 0 0 1 0-7M13.500 6.500a5 5 0 0 1 0 7M4.300 15.700a8 8 0 0 1 0-11.400M15.700 4.300a8 8 0 0 1 0 11.400"/>`);
export const modelsIcon = icon(svg`<rect x="5.500" y="5.500" width="9" height="9" rx="1.500"/><path d="M8 3v2.500M12 3v2.500M8 14.500V17M12 14.500V17M3 8h2.500M3 12h2.500M14.500 8H17M14.500 12H17"/>`);
export const cronIcon = icon(svg`<circle cx="10" cy="10" r="6.700"/><path d="M10 6v4.200l2.800 1.800"/>`);
export const logsIcon = icon(svg`<path d="M4 5h12M4 8.400h8M4 11.700h12M4 15h6"/>`);
export const configIcon = icon(svg`<path d="M4 6h6M14 6h2M4 10h1.500M9.500 10H16M4 14h7M15 14h1"/><circle cx="12" cy="6" r="1.700"/><circle cx="7.500" cy="10" r="1.700"/><circle cx="13" cy="14" r="1.700"/>`);
export const moreIcon = icon(svg`<circle cx="4.500" cy="10" r="1.300" fill="currentColor" stroke="none"/><circle cx="10" cy="10" r="1.300" fill="currentColor" stroke="none"/><circle cx="15.500" cy="10" r="1.300" fill="currentColor" stroke="none"/>`);
export const languageIcon = icon(svg`<circle cx="10" cy="10" r="6.700"/><path d="M3.500 10h13M10 3.300c2 2 3 4.200 3 6.700s-1 4.700-3 6.700c-2-2-3-4.200-3-6.700s1-4.700 3-6.700Z"/>`);
export const keysIcon = icon(svg`<rect x="2.500" y="5.500" width="15" height="9" rx="1.500"/><path d="M5.500 8.500h.01M8.500 8.500h.01M11.500 8.500h.01M14.500 8.500h.01M7 11.700h6"/>`);
export const calmIcon = icon(svg`<circle cx="10" cy="10" r="6.700"/><path d="m7 10.200 2.100 2.100L13.200 8"/>`);
export const upIcon = icon(svg`<path d="M10 15.500v-11M5.500 9 10 4.500 14.500 9"/>`);
export const toolIcon = icon(svg`<path d="M12.300 3.400a4 4 0 0 0-4.500 5.500l-4.600 4.600 3.300 3.300 4.600-4.600a4 4 0 0 0 5.500-4.500l-2.300 2.300-2.300-.9-.9-2.300 1.200-3.400Z"/>`);
export const brandIcon = svg`<svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true" focusable="false"><rect width="32" height="32" rx="9" fill="var(--brand)"/><path d="M10 24c-3-3-3.500-8.500-.5-13 1.500-2.200 3.700-3.700 6-4.500-1 2-1.400 3.700-1.200 5.500 1.700-1.800 3.900-2.600 7.200-2.500-3 1.300-5 3.300-6 6-1.200 3.200-.9 6 1 8.500-2.500 1-4.700 1-6.500 0Z" fill="#fff"/></svg>`;
