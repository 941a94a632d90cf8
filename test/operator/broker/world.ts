import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, credsAuthenticator, errors, type NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { makeOperator, type OperatorMaterial, resolverConfig } from '../../../operator/broker/bootstrap.ts';
import { encodeClaims, formatCreds } from '../../../operator/broker/claims.ts';
import { makeUser } from '../../../operator/broker/credentials.ts';
import { keyFromSeed, newKey } from '../../../operator/broker/keys.ts';
import { connectBroker, type NatsBroker } from '../../../operator/broker/nats-broker.ts';
import type { AccountKeys, AccountLimits, TenantBroker } from '../../../operator/reconcile/ports.ts';
import { inboxPrefix, type Role } from '../../../runtime/nats/names.ts';
import { startNats } from '../../cluster/nats.ts';
import { temporaryFolder } from '../../cluster/temporary.ts';

/*
 * A real nats-server with accounts as the operator makes them, by the operator's own code: for every test that needs more than an open
 * server. Folders look as pods see them.
 */
export interface WorldOptions {
  /** Inside the `jetstream` block. */
  readonly jetstream?: string;
  /** Top level of nats.conf. */
  readonly config?: string;
  readonly monitor?: boolean;
}

const defaultLimits: AccountLimits = {
  connections: 100,
  storage: 1024 ** 3,
  memory: 0,
  streams: 100,
  maxPayload: 1024 ** 2,
};

/** The operator's folder: what its chart mounts. */
export const writeOperatorFolder = async (folder: string, material: OperatorMaterial): Promise<void> => {
  await mkdir(folder, { recursive: true });
  const files = {
    'operator.seed': material.signingSeed,
    'ctl.creds': material.ctlCreds,
    'meter.creds': material.meterCreds,
    'system.account': material.systemAccount,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
};

/** Credentials without limits in an account: what nobody gets in production, to show what the others are refused. */
export const adminCreds = (keys: AccountKeys): string => {
  const user = newKey('user');
  const jwt = encodeClaims(
    { type: 'user', version: 2, subs: -1, data: -1, payload: -1 },
    { name: 'admin', subject: user.getPublicKey(), issuedAt: Math.floor(Date.now() / 1000) },
    keyFromSeed(keys.accountSeed),
  );
  return formatCreds(jwt, user);
};

const connectTimeoutMs = 60_000;

export const connectWith = (url: string, creds: string, prefix: string): Promise<NatsConnection> =>
  connect({
    servers: url,
    authenticator: credsAuthenticator(new TextEncoder().encode(creds)),
    inboxPrefix: prefix,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    ignoreAuthErrorAbort: true,
    // A machine that runs everything at once takes its time.
    timeout: connectTimeoutMs,
  });

const isReading = /^\$JS\.API\.(INFO|(STREAM|CONSUMER)\.(INFO|NAMES|LIST)|STREAM\.MSG\.GET)\b/;

/**
 * The client drops what it is asked while it dials a server that restarts, and tells nobody: questions that change nothing are asked again.
 * A dial that was lost halfway it notices only when its time to connect is over.
 */
const insistent = (connection: NatsConnection): NatsConnection => {
  const ask = connection.request.bind(connection);
  connection.request = async (subject, ...rest) => {
    const late = performance.now() + 2 * connectTimeoutMs;
    for (;;) {
      try {
        return await ask(subject, ...rest);
      } catch (error) {
        const isLost = [error, (error as Error).cause].some((one) => one instanceof errors.TimeoutError);
        if (!isLost || !isReading.test(subject) || performance.now() > late) throw error;
      }
    }
  };
  return connection;
};

export interface WorldTenant {
  readonly name: string;
  readonly keys: AccountKeys;
  readonly limits: AccountLimits;
  readonly broker: TenantBroker;
  /** A new folder with `url` and `creds`, as a pod has at /etc/kanava/nats. `base` is its parent: KANAVA_DIR. */
  folder(role: Role, integration?: string): Promise<string>;
  /** A connection with the credentials of a role; closed with the world. */
  connect(role: Role, integration?: string): Promise<NatsConnection>;
  /** May do everything in this account, and asks again what a restart of the server swallowed; closed with the world. */
  admin(): Promise<NatsConnection>;
}

export interface World {
  readonly url: string;
  readonly monitorUrl: string | undefined;
  readonly pid: number;
  readonly material: OperatorMaterial;
  /** `settings.natsFolder` of an operator. */
  readonly natsFolder: string;
  readonly broker: NatsBroker;
  /** Makes the account, or updates its limits. */
  tenant(name: string, limits?: Partial<AccountLimits>): Promise<WorldTenant>;
  /** SIGTERM and start again, same port and store. */
  restart(): Promise<void>;
  /** SIGKILL; `start` brings it back. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends everything and removes the server's files. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const day = 24 * 60 * 60 * 1000;

export const startWorld = async (options: WorldOptions = {}): Promise<World> => {
  const material = makeOperator();
  const server = await startNats({
    // Its own patience is two seconds, which a test that is being loaded on a busy machine may need to answer the challenge.
    config: ({ dir }) =>
      `authorization { timeout: 60 }\n${resolverConfig(material, join(dir, 'jwt'))}\n${options.config ?? ''}`,
    ...(options.jetstream === undefined ? {} : { jetstream: options.jetstream }),
    ...(options.monitor === undefined ? {} : { monitor: options.monitor }),
  });
  const base = await temporaryFolder('world');
  const natsFolder = join(base, 'operator');
  await writeOperatorFolder(natsFolder, material);
  const broker = await connectBroker({ url: server.url, folder: natsFolder, log: pino({ level: 'silent' }) });
  const connections: NatsConnection[] = [];
  const tenants = new Map<string, AccountKeys>();

  const keep = async (opened: Promise<NatsConnection>): Promise<NatsConnection> => {
    const connection = await opened;
    connections.push(connection);
    return connection;
  };

  const tenant = async (name: string, changed: Partial<AccountLimits> = {}): Promise<WorldTenant> => {
    const limits = { ...defaultLimits, ...changed };
    const keys = tenants.get(name) ?? broker.newAccountKeys();
    tenants.set(name, keys);
    const state = await broker.ensureAccount(name, keys, limits, { suspended: false });
    if (!state.inSync) throw new Error(`Account of ${name} is not in sync: ${state.message}`);
    return {
      name,
      keys,
      limits,
      broker: broker.tenant(keys),
      folder: async (role, integration) => {
        const folder = join(await mkdtemp(join(base, `${role}-`)), 'nats');
        await mkdir(folder);
        await writeFile(join(folder, 'url'), server.url);
        await writeFile(join(folder, 'creds'), makeUser(keys, role, integration, day).creds);
        return folder;
      },
      connect: (role, integration) =>
        keep(connectWith(server.url, makeUser(keys, role, integration, day).creds, inboxPrefix(role, integration))),
      admin: () => keep(connectWith(server.url, adminCreds(keys), '_INBOX').then(insistent)),
    };
  };

  const stop = async () => {
    await Promise.all(connections.map((connection) => connection.close()));
    await broker.close();
    await server.close();
  };
  return {
    url: server.url,
    monitorUrl: server.monitorUrl,
    get pid() {
      return server.pid;
    },
    material,
    natsFolder,
    broker,
    tenant,
    restart: async () => {
      await server.stop();
      await server.start();
    },
    kill: server.kill,
    start: server.start,
    stop,
    [Symbol.asyncDispose]: stop,
  };
};
