/** The pages there are: picture, key, and the module that a page is loaded from when it is first opened. */

import {
  agentIcon, approvalsIcon, channelsIcon, chatIcon, configIcon, cronIcon, devicesIcon, logsIcon, modelsIcon, overviewIcon, postsIcon,
  sessionsIcon, usageIcon,
} from './icons.js';
import {html} from './vendor/lit.js';

/**
 * @typedef {object} PageEntry
 * @property {unknown} icon
 * @property {string} letter opens it, after `g`
 * @property {boolean} near has a place of its own on a narrow screen
 * @property {() => Promise<unknown>} load
 * @property {(stores: import('./view.js').Stores) => unknown} draw
 */

/** @type {Record<import('./route.js').ViewName, PageEntry>} in the order of the navigation */
export const PAGES = {
  overview: {
    icon: overviewIcon,
    letter: 'o',
    near: true,
    load: () => import('./overview-view.js'),
    draw: (stores) => html`<oc-overview .stores=${stores}></oc-overview>`,
  },
  chat: {
    icon: chatIcon,
    letter: 'c',
    near: true,
    load: () => import('./chat-view.js'),
    draw: (stores) => html`<oc-chat .stores=${stores}></oc-chat>`,
  },
  approvals: {
    icon: approvalsIcon,
    letter: 'a',
    near: true,
    load: () => import('./approvals-view.js'),
    draw: (stores) => html`<oc-approvals .stores=${stores}></oc-approvals>`,
  },
  posts: {
    icon: postsIcon,
    letter: 'p',
    near: false,
    load: () => import('./posts-view.js'),
    draw: (stores) => html`<oc-posts .stores=${stores}></oc-posts>`,
  },
  sessions: {
    icon: sessionsIcon,
    letter: 's',
    near: false,
    load: () => import('./sessions-view.js'),
    draw: (stores) => html`<oc-sessions .stores=${stores}></oc-sessions>`,
  },
  cron: {
    icon: cronIcon,
    letter: 'j',
    near: false,
    load: () => import('./cron-view.js'),
    draw: (stores) => html`<oc-cron .stores=${stores}></oc-cron>`,
  },
  agent: {
    icon: agentIcon,
    letter: 'w',
    near: false,
    load: () => import('./agent-view.js'),
    draw: (stores) => html`<oc-agent .stores=${stores}></oc-agent>`,
  },
  channels: {
    icon: channelsIcon,
    letter: 'h',
    near: false,
    load: () => import('./channels-view.js'),
    draw: (stores) => html`<oc-channels .stores=${stores}></oc-channels>`,
  },
  models: {
    icon: modelsIcon,
    letter: 'm',
    near: false,
    load: () => import('./models-view.js'),
    draw: (stores) => html`<oc-models .stores=${stores}></oc-models>`,
  },
  usage: {
    icon: usageIcon,
    letter: 'u',
    near: false,
    load: () => import('./usage-view.js'),
    draw: (stores) => html`<oc-usage .stores=${stores}></oc-usage>`,
  },
  devices: {
    icon: devicesIcon,
    letter: 'd',
    near: false,
    load: () => import('./devices-view.js'),
    draw: (stores) => html`<oc-devices .stores=${stores}></oc-devices>`,
  },
  logs: {
    icon: logsIcon,
    letter: 'l',
    near: false,
    load: () => import('./logs-view.js'),
    draw: (stores) => html`<oc-logs .stores=${stores}></oc-logs>`,
  },
  config: {
    icon: configIcon,
    letter: 'f',
    near: false,
    load: () => import('./config-view.js'),
    draw: (stores) => html`<oc-config .stores=${stores}></oc-config>`,
  },
};
