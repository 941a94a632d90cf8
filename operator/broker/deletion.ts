import type { KeyPair } from '@nats-io/nkeys';
import type { Logger } from 'pino';
import {
  answerBucket,
  answerSubjects,
  bodyStream,
  bucketStream,
  busStream,
  deadLetterStream,
  gatewayBucket,
  inboxStream,
  stateBucket,
  stateSubjects,
  tickStream,
} from '../../runtime/nats/names.ts';
import { type AccountKeys, type AccountState, BrokerError } from '../reconcile/ports.ts';
import type { Accounts } from './accounts.ts';
import { resolverIntervalSeconds } from './bootstrap.ts';
import {
  anyLimits,
  closedClaims,
  closingClaims,
  encodeClaims,
  isClosed,
  isTombstone,
  limitsIn,
  type Token,
  tombstoneClaims,
} from './claims.ts';
import { deleteConsumer } from './consumers.ts';
import { loginsOf } from './credentials.ts';
import { reasonOf } from './failures.ts';
import { deleteRoutes } from './routes.ts';
import { ensureSchedules } from './schedules.ts';
import type { Servers } from './servers.ts';
import { deleteStream, findStream } from './streams.ts';
import type { TenantConnections, TenantSession } from './tenant-connection.ts';

/*
 * The end of an Integration in its account, and of a whole account: the latter in the one order that leaves nothing behind: streams (their
 * files would make a restarted server unhealthy), then a tombstone that every server has (a server that is down during the delete brings
 * back what it last had), then the delete.
 */
interface Parts {
  readonly accounts: Accounts;
  readonly servers: Servers;
  readonly connections: TenantConnections;
  readonly signer: KeyPair;
  readonly log: Logger;
  /** How long after a deletion the servers are looked at again: all have compared their tokens by then. */
  readonly recheckMs?: number | undefined;
}
export interface Deletion {
  /** What an Integration leaves in its tenant's account; see the port. */
  release(
    tenant: string,
    keys: AccountKeys,
    integration: { readonly name: string; readonly uid: string },
    options: { messages: boolean; lifetimeMs: number },
  ): Promise<void>;
  delete(tenant: string, keys: AccountKeys, purgeStreams: boolean): Promise<void>;
  close(): void;
}

const afterComparisonMs = (resolverIntervalSeconds + 5) * 1000;

export const createDeletion = ({
  accounts,
  servers,
  connections,
  signer,
  log,
  recheckMs = afterComparisonMs,
}: Parts): Deletion => {
  const rechecks = new Set<NodeJS.Timeout>();
  const everywhere = (state: AccountState, tenant: string, what: string): void => {
    if (state.inSync) return;
    throw new BrokerError(
      'Unreachable',
      `Tenant ${tenant}: ${what} is on ${state.serversAcked} of ${state.serversTotal} NATS servers; the deletion goes on when the others are back (${state.message})`,
    );
  };

  /** A suspended account lets nobody in; in this state the operator may enter, and nobody else. */
  const openForOperator = async (tenant: string, keys: AccountKeys, token: Token): Promise<void> => {
    const closing = await accounts.push(tenant, keys.account, closingClaims(keys, limitsIn(token) ?? anyLimits));
    if (closing.serversAcked === 0) everywhere(closing, tenant, 'the closing state');
    await connections.suspend(keys.account, false);
  };

  /** Runs in the account, whether it is open or closed, and leaves a closed one closed. */
  const inside = async (
    tenant: string,
    keys: AccountKeys,
    what: string,
    run: (session: TenantSession) => Promise<void>,
  ): Promise<void> => {
    const token = await accounts.find(keys.account);
    // Without an account there is nothing in it; on its way out it takes everything along.
    if (!token || isTombstone(token)) return;
    if (!isClosed(token)) return connections.use(keys, what, run);
    await openForOperator(tenant, keys, token);
    try {
      await connections.use(keys, what, run);
    } finally {
      await connections.suspend(keys.account, true);
      const closed = closedClaims(keys, limitsIn(token) ?? anyLimits);
      everywhere(await accounts.push(tenant, keys.account, closed), tenant, 'the closed state');
    }
  };

  /** A copy of its credentials works nowhere from here on; connections that use them end. A server that is away hears it from the others. */
  const endLogins = async (tenant: string, keys: AccountKeys, uid: string, lifetimeMs: number): Promise<void> => {
    const until = Math.ceil((Date.now() + lifetimeMs) / 1000);
    const revoked = await accounts.revoke(tenant, keys.account, loginsOf(keys, uid), until);
    if (revoked?.serversAcked === 0) everywhere(revoked, tenant, 'the end of its logins');
  };

  const removeStreams = async (tenant: string, keys: AccountKeys, token: Token, purge: boolean): Promise<void> => {
    // Its pods would write while we remove.
    await openForOperator(tenant, keys, token);
    await connections.use(keys, `Deleting the streams of tenant ${tenant}`, async ({ manager }) => {
      const names: string[] = [];
      for await (const name of manager.streams.names()) names.push(name);
      if (names.length > 0 && !purge)
        throw new BrokerError(
          'Invalid',
          `Tenant ${tenant} still has ${names.length} streams (${names.slice(0, 5).join(', ')}): delete them first, or ask for their deletion`,
        );
      for (const name of names) await deleteStream(manager, name);
    });
    await connections.drop(keys.account);
  };

  const removeToken = async (tenant: string, account: string): Promise<void> => {
    const issuedAt = Math.floor(Date.now() / 1000);
    const jwt = encodeClaims(
      { type: 'generic', version: 2, accounts: [account] },
      { name: tenant, subject: signer.getPublicKey(), issuedAt },
      signer,
    );
    const { acked, total, refusals } = await servers.remove(jwt);
    if (acked >= total) return;
    throw new BrokerError(
      'Unreachable',
      `Tenant ${tenant}: ${acked} of ${total} NATS servers deleted the account${refusals.length > 0 ? ` (${refusals.join('; ')})` : ''}; it is tried again`,
    );
  };

  const removeAgain = async (tenant: string, account: string): Promise<void> => {
    const holders = (await servers.list()).filter((list) => list.includes(account)).length;
    if (holders === 0) return;
    log.info({ tenant, account, holders }, 'A deleted account is back on NATS servers and is deleted again');
    await removeToken(tenant, account);
  };

  /** A server that missed the delete offers its copy, by then the tombstone, to the others at their next comparison. */
  const recheck = (tenant: string, account: string): void => {
    const timer = setTimeout(() => {
      rechecks.delete(timer);
      void removeAgain(tenant, account).catch((error: unknown) => {
        log.warn({ tenant, account, reason: reasonOf(error) }, 'A deleted account could not be looked at again');
        recheck(tenant, account);
      });
    }, recheckMs);
    timer.unref();
    rechecks.add(timer);
  };

  return {
    release: async (tenant, keys, { name, uid }, { messages, lifetimeMs }) => {
      // First: what has its login cannot write back what is removed. With the messages kept, its pods may finish what they have begun.
      if (messages) await endLogins(tenant, keys, uid, lifetimeMs);
      await inside(tenant, keys, `What Integration ${name} leaves`, async (session) => {
        await endRoutes(session, name);
        // They would go on without it, for nobody; what they made is no accepted message.
        await ensureSchedules(session, name, []);
        await deleteConsumer(session.manager, tickStream, name);
        if (messages) await removeMessages(session, name);
      });
    },
    delete: async (tenant, keys, purgeStreams) => {
      const token = await accounts.find(keys.account);
      if (!token) return;
      if (!isTombstone(token)) await removeStreams(tenant, keys, token, purgeStreams);
      // A tombstone that is there already is repeated as it is: each server must have the same one.
      const at = isTombstone(token) ? revokedAt(token) : Math.floor(Date.now() / 1000);
      const tombstone = tombstoneClaims(limitsIn(token) ?? anyLimits, at);
      everywhere(await accounts.push(tenant, keys.account, tombstone), tenant, 'the tombstone');
      await removeToken(tenant, keys.account);
      recheck(tenant, keys.account);
    },
    close: () => {
      for (const timer of rechecks) clearTimeout(timer);
    },
  };
};

const endRoutes = async ({ connection, manager }: TenantSession, integration: string): Promise<void> => {
  if (await findStream(manager, bucketStream(gatewayBucket))) await deleteRoutes(connection, integration);
};

/** Streams first: then nothing comes in that would leave a state. */
const removeMessages = async ({ manager }: TenantSession, integration: string): Promise<void> => {
  for (const stream of [inboxStream, deadLetterStream, bodyStream].map((nameOf) => nameOf(integration)))
    await deleteStream(manager, stream);
  await deleteConsumer(manager, busStream, integration);
  for (const [bucket, filter] of [
    [stateBucket, stateSubjects(integration)],
    [answerBucket, answerSubjects(integration)],
  ] as const) {
    const stream = bucketStream(bucket);
    if (await findStream(manager, stream)) await manager.streams.purge(stream, { filter });
  }
};

const revokedAt = (token: Token): number => (token.nats['revocations'] as Record<string, number>)['*'] ?? 0;
