import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import pino from 'pino';
import { planBuckets } from '../../../operator/plan/buckets.ts';
import { catalog } from '../../../runtime/catalog.ts';
import type { Applied, Routes } from '../../../runtime/flow.ts';
import { type Gateway, startGateway } from '../../../runtime/gateway/gateway.ts';
import type { Message } from '../../../runtime/message.ts';
import { decodeMessage } from '../../../runtime/nats/envelope.ts';
import { inboxStream, inboxSubjects } from '../../../runtime/nats/names.ts';
import { startWorld, type World, type WorldTenant } from '../../operator/broker/world.ts';

/** A tenant on a real server as the operator makes it: account, buckets, inboxes, the gateway's folder. */
export interface TestTenant {
  readonly world: World;
  readonly tenant: WorldTenant;
  /** KANAVA_DIR of the gateway. */
  readonly folder: string;
  readonly manager: JetStreamManager;
  inbox(integration: string, maxBytes?: number): Promise<void>;
  secret(name: string, key: string, value: string): Promise<void>;
  /** Puts the entry and waits until the gateway reports it, served or refused. */
  route(integration: string, sources: unknown[], more?: Partial<Routes>): Promise<Applied>;
  stored(integration: string): Promise<StoredMessage[]>;
  gateway(): Promise<Gateway & { url: string }>;
  [Symbol.asyncDispose](): Promise<void>;
}
export interface StoredMessage extends Message {
  readonly rawHeaders: Readonly<Record<string, string>>;
  readonly subject: string;
}

export const silent = pino({ level: process.env['KANAVA_TEST_LOG'] ?? 'silent' });

export const until = async <T>(what: string, probe: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  for (const deadline = Date.now() + 90_000; Date.now() < deadline; ) {
    const found = await probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited 30 s in vain for: ${what}`);
};

export const entryOf = (integration: string, sources: unknown[], more: Partial<Routes> = {}): Routes => ({
  version: 1,
  tenant: 'acme',
  namespace: 'acme',
  integration,
  uid: `uid-${integration}`,
  generation: 1,
  suspended: false,
  partitions: 1,
  sources: sources as Routes['sources'],
  ...more,
});

export const startTenant = async (): Promise<TestTenant> => {
  const world = await startWorld();
  const tenant = await world.tenant('acme');
  for (const bucket of planBuckets({ uid: 'tenant-uid', replicas: 1 })) await tenant.broker.ensureStream(bucket);
  const folder = dirname(await tenant.folder('gateway'));
  await mkdir(join(folder, 'secrets'));
  const manager = await jetstreamManager(await tenant.admin());
  const gateways: Gateway[] = [];

  return {
    world,
    tenant,
    folder,
    manager,
    async inbox(integration, maxBytes = 16 * 1024 * 1024) {
      const stream = {
        retention: 'workqueue',
        discard: 'new',
        storage: 'file',
        replicas: 1,
        maxBytes,
        duplicateWindowMs: 120_000,
        metadata: {},
        consumers: [],
      } as const;
      await tenant.broker.ensureStream({
        ...stream,
        name: inboxStream(integration),
        subjects: [inboxSubjects(integration)],
      });
    },
    secret: (name, key, value) => writeFile(join(folder, 'secrets', `${name}..${key}`), value),
    async route(integration, sources, more = {}) {
      const before = await tenant.broker.applied(integration);
      const revision = await tenant.broker.putRoutes(entryOf(integration, sources, more));
      return until(`${integration} applied`, async () => {
        const applied = await tenant.broker.applied(integration);
        const told = applied && JSON.stringify(applied) !== JSON.stringify(before);
        return applied && (applied.revision === revision || (told && applied.error)) ? applied : undefined;
      });
    },
    async stored(integration) {
      const stream = inboxStream(integration);
      const { state } = await manager.streams.info(stream);
      const messages: StoredMessage[] = [];
      for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
        const found = await manager.streams.getMessage(stream, { seq });
        if (!found) continue;
        const rawHeaders: Record<string, string> = {};
        for (const [name, values] of found.header) rawHeaders[name] = values[0] ?? '';
        messages.push({ ...decodeMessage(rawHeaders, found.data), rawHeaders, subject: found.subject });
      }
      return messages;
    },
    async gateway() {
      const gateway = await startGateway({
        tenant: 'acme',
        catalog,
        folder,
        port: 0,
        answered: () => undefined,
        closed: () => undefined,
        log: silent,
      });
      gateways.push(gateway);
      await until('the gateway is ready', () => gateway.ready() || undefined);
      return { ...gateway, url: `http://127.0.0.1:${gateway.port}` };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await world.stop();
    },
  };
};
