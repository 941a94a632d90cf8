import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { readAccountKeys } from '../../../operator/plan/account.ts';
import { workerCredentialsName } from '../../../operator/plan/children.ts';
import type { AccountKeys } from '../../../operator/reconcile/ports.ts';
import { inboxPrefix } from '../../../runtime/nats/names.ts';
import { adminCreds } from '../broker/world.ts';
import { type OperatorWorld, operatorNamespace, until } from './operator-world.ts';

/* What an Integration has in its tenant's account and namespace, looked at with rights that nobody has in production. */
export interface Left {
  /** `inbox_orders 2`: stream and messages. */
  readonly streams: readonly string[];
  /** Subjects in the state bucket. */
  readonly state: readonly string[];
  /** Subjects in the gateway's bucket that are not marked as deleted. */
  readonly routes: readonly string[];
  readonly objects: readonly string[];
}
export const nothing: Left = { streams: [], state: [], routes: [], objects: [] };

export const accountOf = async (world: OperatorWorld, tenant: string): Promise<AccountKeys | undefined> => {
  const stored = await world.get('secret', `tenant-keys-${tenant}`, operatorNamespace);
  return stored && readAccountKeys(stored);
};

/** Tries once: an account that is closed, or gone, must say so. */
const enter = (world: OperatorWorld, creds: string, inboxPrefix = '_INBOX'): Promise<NatsConnection> =>
  connect({
    servers: world.nats.url,
    authenticator: credsAuthenticator(new TextEncoder().encode(creds)),
    inboxPrefix,
    reconnect: false,
    timeout: 60_000,
  });
const inside = async <T>(world: OperatorWorld, tenant: string, work: (admin: NatsConnection) => Promise<T>) => {
  const keys = await accountOf(world, tenant);
  if (!keys) throw new Error(`there are no keys of ${tenant}`);
  const admin = await enter(world, adminCreds(keys));
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
};

type Access = 'open' | 'closed';
/** Whether a pod gets in. The server hangs up on whom it refuses, and sometimes its reason is lost with it: then it is asked again. */
export const accessWith = (world: OperatorWorld, keys: AccountKeys): Promise<Access> =>
  accessOf(world, makeUser(keys, 'gateway', undefined, 60_000).creds, inboxPrefix('gateway'));
const accessOf = (world: OperatorWorld, creds: string, prefix: string): Promise<Access> =>
  until('an answer of the account', async () => {
    try {
      const connection = await enter(world, creds, prefix);
      await connection.close();
      return 'open';
    } catch (error) {
      return /connections exceeded|authorization violation/i.test(String(error)) && 'closed';
    }
  });
/** A copy of an Integration's credentials, as somebody may have made it. */
export const copiedLogin = async (world: OperatorWorld, name: string, namespace: string) => {
  const data = (await world.get('secret', workerCredentialsName(name), namespace))?.['data'] as Record<string, string>;
  const creds = Buffer.from(data['creds'] ?? '', 'base64').toString();
  return (): Promise<Access> => accessOf(world, creds, inboxPrefix('worker', name));
};
export const accessTo = async (world: OperatorWorld, tenant: string): Promise<Access> => {
  const keys = await accountOf(world, tenant);
  if (!keys) throw new Error(`there are no keys of ${tenant}`);
  return accessWith(world, keys);
};
/** A suspended Tenant's pods have a minute to finish. */
export const becomesAccessible = (world: OperatorWorld, tenant: string, wanted: Access): Promise<boolean> =>
  until(`the account of ${tenant} is ${wanted}`, async () => (await accessTo(world, tenant)) === wanted, 150_000);

/** Two messages in the inbox, one dead letter, two entries in the state bucket. */
export const storeMessages = (world: OperatorWorld, name: string, tenant: string): Promise<void> =>
  inside(world, tenant, async (admin) => {
    const js = jetstream(admin);
    for (const body of ['one', 'two']) await js.publish(`inbox.${name}.0.in`, body);
    await js.publish(`dlq.${name}.erp`, 'failed');
    for (const key of stateKeys(name)) await js.publish(key, '{}');
  });
const stateKeys = (name: string) => [`$KV.state.${name}.m.inbox_${name}.1`, `$KV.state.${name}.seen.abc`];
/** What `storeMessages` stored. */
export const messages = (name: string): Pick<Left, 'streams' | 'state'> => ({
  streams: [`dlq_${name} 1`, `inbox_${name} 2`],
  state: stateKeys(name),
});

export const messagesOf = (world: OperatorWorld, name: string, tenant: string): Promise<Omit<Left, 'objects'>> =>
  inside(world, tenant, async (admin) => {
    const manager = await jetstreamManager(admin);
    const streams: string[] = [];
    for await (const { config, state } of manager.streams.list())
      if ([`inbox_${name}`, `dlq_${name}`].includes(config.name)) streams.push(`${config.name} ${state.messages}`);
    const subjectsOf = async (stream: string, filter: string) =>
      Object.keys((await manager.streams.info(stream, { subjects_filter: filter })).state.subjects ?? {});
    const routes: string[] = [];
    for (const subject of await subjectsOf('KV_gateway', `$KV.gateway.routes.${name}`)) {
      const stored = await manager.direct.getMessage('KV_gateway', { last_by_subj: subject });
      if (!stored?.header.has('KV-Operation')) routes.push(subject);
    }
    return { streams: streams.sort(), state: (await subjectsOf('KV_state', `$KV.state.${name}.>`)).sort(), routes };
  });

const kinds = 'deployments,replicasets,pods,configmaps,secrets,serviceaccounts';
const leftOf = async (world: OperatorWorld, name: string, namespace: string): Promise<Left> => {
  const label = `kanava.dev/integration=${name}`;
  const listed = await world.kubectl(['get', kinds, '-n', namespace, '-l', label, '-o', 'name']);
  return { ...(await messagesOf(world, name, namespace)), objects: listed.split('\n').filter(Boolean) };
};

export const leaves = async (world: OperatorWorld, name: string, namespace: string, expected: Left): Promise<void> => {
  const wanted = JSON.stringify({ ...nothing, ...expected });
  let seen = '';
  const look = async () => {
    const { streams, state, routes, objects } = await leftOf(world, name, namespace);
    seen = JSON.stringify({ streams, state, routes, objects });
    return seen === wanted;
  };
  await until(`${name} leaves ${wanted}`, look).catch((error: unknown) => {
    throw new Error(`${String(error)}; seen ${seen}`, { cause: error });
  });
};
