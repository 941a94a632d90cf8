import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type AccountKeys, type AccountLimits, type Broker, BrokerError } from '../reconcile/ports.ts';
import { createAccounts } from './accounts.ts';
import { isClosed, limitsIn, type Token } from './claims.ts';
import { systemConnection } from './connection.ts';
import { loginOf, makeUser } from './credentials.ts';
import { createDeletion } from './deletion.ts';
import { keyFromSeed, newSeed } from './keys.ts';
import { createMeter, type Meter } from './meter.ts';
import { stopSchedules } from './schedules.ts';
import { createServers } from './servers.ts';
import { createStanding } from './standing.ts';
import { tenantBroker } from './tenant-broker.ts';
import { tenantConnections } from './tenant-connection.ts';
import { takeTurns } from './turns.ts';

export interface NatsBroker extends Broker {
  readonly meter: Meter;
  close(): Promise<void>;
}
interface Options {
  readonly url: string;
  /** `settings.natsFolder`. */
  readonly folder: string;
  readonly log: Logger;
  /** For tests, which do not wait for minutes: see deletion.ts. */
  readonly recheckMs?: number;
}

/** Opens nothing yet: each operation connects when it must and fails with `Unreachable` while NATS is away. */
export const connectBroker = async ({ url, folder, log, recheckMs }: Options): Promise<NatsBroker> => {
  const endpoint = { url, folder };
  const signer = keyFromSeed(readFileSync(join(folder, 'operator.seed'), 'utf8'));
  const ctl = systemConnection(endpoint, 'ctl', log);
  const meterConnection = systemConnection(endpoint, 'meter', log);
  const connections = tenantConnections(endpoint, log);
  const servers = createServers(ctl, meterConnection);
  const accounts = createAccounts(servers, signer);
  const meter = createMeter(meterConnection, servers.count, log);
  const standing = createStanding(meter);
  const deletion = createDeletion({ accounts, servers, connections, signer, log, recheckMs });
  // Each of them reads an account's claims and pushes others: two at once would undo each other.
  const inTurn = takeTurns();
  /** The account and limits that were seen to work. */
  const working = new Map<string, string>();
  /** A server that has less storage than the account may use says "200" to the push and then gives it no JetStream at all. */
  const probe = async (tenant: string, keys: AccountKeys, limits: AccountLimits): Promise<void> => {
    const state = JSON.stringify(limits);
    if (working.get(keys.account) === state) return;
    working.delete(keys.account);
    await connections
      .use(keys, `JetStream of tenant ${tenant}`, ({ manager }) => manager.getAccountInfo())
      .catch((error: BrokerError) => {
        if (error.code !== 'NotJetStream') throw error;
        throw new BrokerError(
          'Insufficient',
          `Tenant ${tenant}: the NATS servers have no room for an account of ${limits.storage} bytes storage and ${limits.memory} bytes memory; give them more or the tenant less`,
          { cause: error },
        );
      });
    working.set(keys.account, state);
  };
  const staysClosed = async (account: string): Promise<boolean> => {
    const token = await accounts.find(account);
    return token === undefined || isClosed(token);
  };
  return {
    newAccountKeys,
    ensureAccount: (tenant, keys, limits, options) =>
      inTurn(keys.account, async () => {
        const suspended = options.suspended && (options.drained !== false || (await staysClosed(keys.account)));
        // In a closed account schedules would go on, and nobody could stop them.
        if (suspended && isOpen(await accounts.find(keys.account)))
          await connections.use(keys, `Stopping the schedules of tenant ${tenant}`, stopSchedules);
        const state = await accounts.ensure(tenant, keys, limits, suspended);
        await connections.suspend(keys.account, suspended);
        if (!suspended && state.serversAcked > 0) await probe(tenant, keys, limits);
        return state;
      }),
    credentials: async (keys, role, integration, lifetimeMs) =>
      makeUser(
        keys,
        role,
        integration?.name,
        lifetimeMs,
        integration && { user: loginOf(keys, role, integration.uid) },
      ),
    releaseIntegration: (tenant, keys, integration, options) =>
      inTurn(keys.account, () => deletion.release(tenant, keys, integration, options)),
    deleteAccount: (tenant, keys, { purgeStreams }) =>
      inTurn(keys.account, () => {
        working.delete(keys.account);
        return deletion.delete(tenant, keys, purgeStreams);
      }),
    tenant: (keys) => tenantBroker(connections, standing, keys),
    facts: meter.facts,
    meter,
    close: async () => {
      meter.close();
      deletion.close();
      await connections.close();
      await Promise.all([ctl.close(), meterConnection.close()]);
    },
  };
};

const isOpen = (token: Token | undefined): boolean => token !== undefined && limitsIn(token)?.conn !== 0;

const newAccountKeys = (): AccountKeys => {
  const accountSeed = newSeed('account');
  return {
    account: keyFromSeed(accountSeed).getPublicKey(),
    accountSeed,
    signing: {
      worker: newSeed('account'),
      intake: newSeed('account'),
      gateway: newSeed('account'),
      ops: newSeed('account'),
      replay: newSeed('account'),
    },
  };
};
