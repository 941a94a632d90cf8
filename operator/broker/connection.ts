import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Authenticator, connect, type NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { credsAuthenticator } from '../../runtime/nats/creds.ts';
import { BrokerError } from '../reconcile/ports.ts';
import { reasonOf } from './failures.ts';
import './answered.ts';

/** Where the server is and what is known about it beforehand: `folder` holds `ca.crt` when it speaks TLS. */
export interface Endpoint {
  /** One address, or several with commas between them. */
  readonly url: string;
  readonly folder: string;
}

const tlsOf = ({ folder }: Endpoint) => {
  const caFile = join(folder, 'ca.crt');
  return existsSync(caFile) ? { tls: { caFile } } : {};
};

const connectTimeoutMs = 5_000;

/**
 * A connection that is opened when it is first asked for and again after it was lost. Asking fails with `Unreachable` or `Denied`; nothing
 * reconnects behind the caller's back, because each caller tries again anyway and a suspended account would be knocked at for ever.
 */
export interface LazyConnection {
  get(): Promise<NatsConnection>;
  close(): Promise<void>;
}

interface Opening extends Endpoint {
  readonly name: string;
  readonly inboxPrefix: string;
  readonly authenticator: Authenticator;
  readonly log: Logger;
}

export const lazyConnection = (opening: Opening): LazyConnection => {
  let current: Promise<NatsConnection> | undefined;
  let closed = false;
  const open = async (): Promise<NatsConnection> => {
    const connection = await connect({
      servers: opening.url.split(','),
      ...tlsOf(opening),
      name: opening.name,
      inboxPrefix: opening.inboxPrefix,
      authenticator: opening.authenticator,
      timeout: connectTimeoutMs,
      reconnect: false,
      maxReconnectAttempts: 0,
      noAsyncTraces: true,
      pingInterval: 20_000,
    }).catch((error: unknown) => {
      throw connectFailure(opening, error);
    });
    return connection;
  };
  const get = (): Promise<NatsConnection> => {
    if (closed)
      return Promise.reject(new BrokerError('Unreachable', `${opening.name} is closed: the operator is stopping`));
    if (current) return current;
    const opened = open();
    current = opened;
    const forget = () => {
      if (current === opened) current = undefined;
    };
    opened.then(
      async (connection) => {
        const error = await connection.closed();
        if (error) opening.log.info({ connection: opening.name, reason: reasonOf(error) }, 'NATS connection lost');
        forget();
      },
      () => forget(),
    );
    return opened;
  };
  const close = async () => {
    closed = true;
    const connection = await current?.catch(() => undefined);
    await connection?.close();
  };
  return { get, close };
};

const denied = /authori[sz]ation|authentication|permissions|maximum account active connections/i;
const connectFailure = (opening: Opening, error: unknown): BrokerError => {
  const reason = reasonOf(error);
  return denied.test(reason)
    ? new BrokerError('Denied', `${opening.url} refused the login of ${opening.name}: ${reason}`, { cause: error })
    : new BrokerError('Unreachable', `${opening.url} cannot be reached as ${opening.name}: ${reason}`, {
        cause: error,
      });
};

/** A user of the system account; its file is read at each login, so that a renewed one counts without a restart. */
export const systemConnection = (endpoint: Endpoint, user: 'ctl' | 'meter', log: Logger): LazyConnection =>
  lazyConnection({
    ...endpoint,
    name: `kanava-operator-${user}`,
    inboxPrefix: `_INBOX_${user}`,
    authenticator: credsAuthenticator(() => readFileSync(join(endpoint.folder, `${user}.creds`), 'utf8')),
    log,
  });
