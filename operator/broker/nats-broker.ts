import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AccountKeys, Broker } from '../reconcile/ports.ts';
import { createAccounts } from './accounts.ts';
import { systemConnection } from './connection.ts';
import { makeUser } from './credentials.ts';
import { createDeletion } from './deletion.ts';
import { keyFromSeed, newSeed } from './keys.ts';
import { createMeter, type Meter } from './meter.ts';
import { createServers } from './servers.ts';
import { tenantBroker } from './tenant-broker.ts';
import { tenantConnections } from './tenant-connection.ts';

export interface NatsBroker extends Broker {
  readonly meter: Meter;
  close(): Promise<void>;
}
interface Options {
  readonly url: string;
  /** `settings.natsFolder`. */
  readonly folder: string;
  readonly log: Logger;
}

/** Opens nothing yet: each operation connects when it must and fails with `Unreachable` while NATS is away. */
export const connectBroker = async ({ url, folder, log }: Options): Promise<NatsBroker> => {
  const endpoint = { url, folder };
  const signer = keyFromSeed(readFileSync(join(folder, 'operator.seed'), 'utf8'));
  const ctl = systemConnection(endpoint, 'ctl', log);
  const meterConnection = systemConnection(endpoint, 'meter', log);
  const connections = tenantConnections(endpoint, log);
  const servers = createServers(ctl, meterConnection);
  const accounts = createAccounts(servers, signer);
  const meter = createMeter(meterConnection, servers.count, log);
  const deletion = createDeletion({ accounts, servers, connections, signer, log });
  return {
    newAccountKeys,
    ensureAccount: (tenant, keys, limits, { suspended }) => accounts.ensure(tenant, keys, limits, suspended),
    credentials: async (keys, role, integration, lifetimeMs) => makeUser(keys, role, integration, lifetimeMs),
    deleteAccount: (tenant, keys, { purgeStreams }) => deletion.delete(tenant, keys, purgeStreams),
    tenant: (keys) => tenantBroker(connections, keys),
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
    },
  };
};
