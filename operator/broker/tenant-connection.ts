import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { credsAuthenticator } from '../../runtime/nats/creds.ts';
import { inboxPrefix } from '../../runtime/nats/names.ts';
import { remembered } from '../api/remembered.ts';
import { type AccountKeys, BrokerError } from '../reconcile/ports.ts';
import { type Endpoint, type LazyConnection, lazyConnection } from './connection.ts';
import { makeUser } from './credentials.ts';
import { translated } from './failures.ts';

/*
 * The operator's connections into tenants' accounts, as role `ops`: one per account in use, closed when nobody has used it for a while, so
 * that they neither leak nor eat the tenant's connections.
 */
export interface TenantSession {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
}
export interface TenantConnections {
  /** Runs with a live connection. Failures come out as BrokerError that names `what`. */
  use<T>(keys: AccountKeys, what: string, run: (session: TenantSession) => Promise<T>): Promise<T>;
  /** A suspended account lets nobody in, and the server's reason gets lost in the hang-up: so it is not even tried. */
  suspend(account: string, suspended: boolean): Promise<void>;
  /** Closes the account's connection, if any. */
  drop(account: string): Promise<void>;
  readonly size: number;
  close(): Promise<void>;
}

interface Pooled {
  readonly lazy: LazyConnection;
  /** The seed that its logins are signed with; a rotated one needs a new connection. */
  readonly seed: string;
  users: number;
  idle: NodeJS.Timeout | undefined;
}

const lifetimeMs = 60 * 60 * 1000;

const sessionOf = remembered(async (connection: NatsConnection): Promise<TenantSession> => {
  // The check would ask for the account's figures first, one more round trip for each use.
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 10_000 });
  return { connection, manager };
});

/** A fresh short-lived user for each login. */
const authenticator = (keys: AccountKeys) =>
  credsAuthenticator(() => makeUser(keys, 'ops', undefined, lifetimeMs).creds);

export const tenantConnections = (endpoint: Endpoint, log: Logger, idleMs = 60_000): TenantConnections => {
  const pool = new Map<string, Pooled>();
  const suspended = new Set<string>();

  const drop = async (account: string): Promise<void> => {
    const found = pool.get(account);
    if (!found) return;
    pool.delete(account);
    clearTimeout(found.idle);
    await found.lazy.close();
  };
  const pooled = async (keys: AccountKeys): Promise<Pooled> => {
    const found = pool.get(keys.account);
    if (found?.seed === keys.signing.ops) return found;
    if (found) await drop(keys.account);
    const lazy = lazyConnection({
      ...endpoint,
      name: 'kanava-operator',
      inboxPrefix: inboxPrefix('ops'),
      authenticator: authenticator(keys),
      log,
    });
    const entry: Pooled = { lazy, seed: keys.signing.ops, users: 0, idle: undefined };
    pool.set(keys.account, entry);
    return entry;
  };

  return {
    use: async (keys, what, run) => {
      if (suspended.has(keys.account))
        throw new BrokerError('Denied', `${what}: the tenant is suspended, so nobody can log in to its account`);
      const entry = await pooled(keys);
      clearTimeout(entry.idle);
      entry.users += 1;
      try {
        return await run(await sessionOf(await entry.lazy.get()));
      } catch (error) {
        throw translated(error, what);
      } finally {
        entry.users -= 1;
        if (entry.users === 0 && pool.get(keys.account) === entry) {
          entry.idle = setTimeout(() => void drop(keys.account), idleMs);
          entry.idle.unref();
        }
      }
    },
    drop,
    suspend: async (account, on) => {
      if (!on) return void suspended.delete(account);
      suspended.add(account);
      await drop(account);
    },
    get size() {
      return pool.size;
    },
    close: async () => {
      await Promise.all([...pool.keys()].map(drop));
    },
  };
};
