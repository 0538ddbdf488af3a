/** Starts the page: theme, token from the address, device key, stores, connection. */

import './app.js';
import {AgentStore} from './agent-store.js';
import {AllowlistStore} from './allowlist-store.js';
import {ApprovalsStore} from './approvals-store.js';
import {ChannelsStore} from './channels-store.js';
import {ChatStore} from './chat-store.js';
import {ConfigStore} from './config-store.js';
import {Connection} from './connection.js';
import {Credentials, takeTokenFromAddress} from './credentials.js';
import {CredentialsStore} from './credentials-store.js';
import {CronStore} from './cron-store.js';
import {DeviceUnavailable, loadDevice} from './device.js';
import {DevicesStore} from './devices-store.js';
import {GatewayStore} from './gateway-store.js';
import {LogsStore} from './logs-store.js';
import {ModelsStore} from './models-store.js';
import {PostsStore} from './posts-store.js';
import {adoptPath, readRoute} from './route.js';
import {SessionsStore} from './sessions-store.js';
import {applyTheme} from './theme.js';
import {UsageStore} from './usage-store.js';

/** The socket lives where the page lives, whatever prefix a proxy puts before it. */
function socketUrl() {
  const url = new URL('./', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = '';
  url.hash = '';
  return url.href;
}

async function boot() {
  const app = /** @type {import('./app.js').App} */ (document.querySelector('openclaw-app'));
  const offered = takeTokenFromAddress();
  applyTheme();
  adoptPath();
  let device;
  try {
    device = await loadDevice();
  } catch (error) {
    app.obstacle = error instanceof DeviceUnavailable ? error.reason : 'denied';
    return;
  }
  const credentials = new Credentials(device.id);
  if (offered && offered !== credentials.gatewayToken) credentials.keepGatewayToken(offered);
  const connection = new Connection(socketUrl(), device, credentials);
  const sessions = new SessionsStore(connection);
  app.stores = {
    connection,
    sessions,
    chats: new ChatStore(connection, sessions),
    gateway: new GatewayStore(connection),
    devices: new DevicesStore(connection),
    approvals: new ApprovalsStore(connection),
    allowlist: new AllowlistStore(connection),
    channels: new ChannelsStore(connection),
    models: new ModelsStore(connection),
    cron: new CronStore(connection),
    config: new ConfigStore(connection),
    credentials: new CredentialsStore(connection),
    logs: new LogsStore(connection),
    posts: new PostsStore(connection),
    agent: new AgentStore(connection),
    usage: new UsageStore(connection),
  };
  sessions.set({current: readRoute(location.hash).session});
  addEventListener('hashchange', () => {
    const token = takeTokenFromAddress();
    if (!token) return;
    credentials.keepGatewayToken(token);
    if (connection.state.phase !== 'ready') connection.start();
  });
  connection.start();
}

boot();
