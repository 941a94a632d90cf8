import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Condition } from '../../../operator/api/fields.ts';
import type { IntegrationStatus } from '../../../operator/api/integration.ts';
import { readAccountKeys } from '../../../operator/plan/account.ts';
import { bus, busSink, http, integration, schedule, tenant } from '../../build.ts';
import { adminCreds, connectWith } from '../broker/world.ts';
import { type OperatorWorld, operatorNamespace, startOperatorWorld, until } from './operator-world.ts';

/* What the operator makes on the streams that Integrations share, through their life. Tests build on each other. */
let world: OperatorWorld;
let admin: NatsConnection;
let manager: JetStreamManager;
const slow = 90_000;

const mail = (spec: Parameters<typeof integration>[0]) => integration(spec, { name: 'mail' });
const sources = (...of: NonNullable<NonNullable<Parameters<typeof integration>[0]>['sources']>) => ({ sources: of });
const consumer = (stream: string) => manager.consumers.info(stream, 'mail').catch(() => undefined);
const filtersOf = async (stream: string) => {
  const { filter_subject, filter_subjects } = (await consumer(stream))?.config ?? {};
  return [...(filter_subjects ?? []), ...(filter_subject ? [filter_subject] : [])].toSorted();
};
const ticks = async () =>
  Object.keys((await manager.streams.info('tick', { subjects_filter: '>' })).state.subjects ?? {}).toSorted();
const becomes = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: slow, interval: 200 });
const conditionOf = async (type: string): Promise<Condition | undefined> =>
  world.condition('integrations.kanava.dev', 'mail', type, 'acme');
const status = async () =>
  ((await world.get('integrations.kanava.dev', 'mail', 'acme'))?.['status'] ?? {}) as IntegrationStatus;

const replicas = async () =>
  ((await world.get('deployment', 'worker-mail', 'acme'))?.['spec'] as { replicas?: number } | undefined)?.replicas;
/** As its worker would; nothing waits afterwards. */
const readAll = async (stream: string) => {
  const from = await jetstream(admin).consumers.get(stream, 'mail');
  const { priority_groups: [group] = [] } = (await from.info()).config;
  const asked = { max_messages: 100, expires: 1_000, ...(group === undefined ? {} : { group }) };
  for await (const message of await from.fetch(asked)) await message.ackAck();
};

const open = async () => {
  const stored = await world.get('secret', 'tenant-keys-acme', operatorNamespace);
  const keys = stored && readAccountKeys(stored);
  if (!keys) throw new Error('the tenant has no keys');
  admin = await connectWith(world.nats.url, adminCreds(keys), '_INBOX');
  manager = await jetstreamManager(admin);
};

beforeAll(async () => {
  world = await startOperatorWorld();
  await world.startOperator();
  await world.apply(tenant({ messaging: { bus: { maxBytes: '1Mi' } } }));
  await world.becomes('tenants.kanava.dev', 'acme', { Ready: 'True' });
  await open();
});
afterAll(async () => {
  await admin?.close();
  await world?.stop();
});

describe('the shared streams', { timeout: 2 * slow }, () => {
  it('are there with the tenant, follow its sizes, and come back', async () => {
    expect((await manager.streams.info('bus')).config).toMatchObject({
      max_bytes: 1024 ** 2,
      discard: 'old',
      // This server waits for the disk.
      allow_atomic: true,
    });
    await world.apply(tenant({ messaging: { bus: { maxBytes: '2Mi' } } }));
    await becomes(async () => (await manager.streams.info('bus')).config.max_bytes).toBe(2 * 1024 ** 2);
    await manager.streams.delete('tick');
    await becomes(async () => (await manager.streams.info('tick').catch(() => undefined))?.config.name).toBe('tick');
  });
});

describe('an Integration on the bus', { timeout: 2 * slow }, () => {
  it('gets a durable consumer that begins with the next event', async () => {
    await jetstream(admin).publish('bus.a', 'before');
    await world.apply(mail(sources(bus(['a', 'b']))));
    await world.becomes('integrations.kanava.dev', 'mail', { Accepted: 'True', MessagingReady: 'True' }, 'acme');
    expect(await filtersOf('bus')).toEqual(['bus.a', 'bus.b']);
    expect((await consumer('bus'))?.num_pending).toBe(0);
    await jetstream(admin).publish('bus.a', 'after');
    // The server answers the publisher before it counts for the consumer.
    await becomes(async () => (await consumer('bus'))?.num_pending).toBe(1);
    await becomes(async () => (await status()).lag?.pending).toBe(1);
  });

  it('is woken by it', async () => {
    await becomes(replicas).toBe(1);
  });

  it('has its filters edited in place, and what waits stays', async () => {
    const { created } = (await consumer('bus')) ?? {};
    await world.apply(mail(sources(bus(['a', 'c.d']))));
    await becomes(() => filtersOf('bus')).toEqual(['bus.a', 'bus.c_d']);
    expect(await consumer('bus')).toMatchObject({ created, num_pending: 1 });
  });

  it('gets it back where it was, should somebody delete it', async () => {
    await manager.consumers.delete('bus', 'mail');
    await becomes(async () => (await consumer('bus'))?.num_pending).toBe(1);
  });

  it('whose order is kept has one reader at a time, and a small window; both are edited in place', async () => {
    const { created } = (await consumer('bus')) ?? {};
    const order = { ordering: 'Key', key: 'body.id', partitions: 1, concurrency: 32 } as const;
    const readers = async () => {
      const { priority_policy, priority_groups, max_ack_pending } = (await consumer('bus'))?.config ?? {};
      return [priority_policy ?? 'none', priority_groups ?? [], max_ack_pending];
    };
    await world.apply(mail({ ...sources(bus(['a', 'c.d'])), delivery: order }));
    await becomes(readers).toEqual(['pinned_client', ['owner'], 64]);
    await world.apply(mail(sources(bus(['a', 'c.d']))));
    await becomes(readers).toEqual(['none', [], 20_000]);
    expect(await consumer('bus')).toMatchObject({ created, num_pending: 1 });
  });

  it('that the bus left behind is stalled, says how many it missed, and goes on when somebody knows', async () => {
    // 3 MB into 2 MiB: nothing reads.
    for (let n = 0; n < 30; n += 1) await jetstream(admin).publish('bus.a', 'x'.repeat(100_000));
    await world.becomes('integrations.kanava.dev', 'mail', { Stalled: 'BusGap', Ready: 'False' }, 'acme');
    const { first_seq: first } = (await manager.streams.info('bus')).state;
    // One event was there before it, which it had not to get. The operator may have looked in the middle.
    await becomes(async () => (await status()).bus?.gap).toEqual({ missed: first - 2, through: first - 1 });
    const said = (await conditionOf('Stalled'))?.message ?? '';
    expect(said).toContain(`up to ${first - 2} events`);
    const command = /kubectl (annotate .*)$/.exec(said)?.[1] ?? '';
    await world.kubectl(command.split(' '));
    await world.becomes('integrations.kanava.dev', 'mail', { Stalled: 'False' }, 'acme');
    expect((await status()).bus?.gap).toBeUndefined();
  });

  it('loses it with the source', async () => {
    await world.apply(mail(sources(http())));
    await becomes(() => consumer('bus')).toBeUndefined();
    await becomes(async () => (await status()).bus).toBeUndefined();
  });
});

describe('an Integration with schedules', { timeout: 2 * slow }, () => {
  const nightly = schedule({ cron: '0 2 * * *', timeZone: 'Europe/Helsinki' });
  const often = schedule({ cron: '* * * * * *' }, 'often');

  it('has them written, and one message a schedule that nobody has worked on', async () => {
    await world.apply(mail({ ...sources(nightly, often), sinks: [busSink('tick.tock')] }));
    await becomes(ticks).toEqual(['cron.mail.nightly', 'cron.mail.often', 'tick.mail.often']);
    expect(await filtersOf('tick')).toEqual(['tick.mail.nightly', 'tick.mail.often']);
    await becomes(async () => (await status()).lag?.pending).toBe(1);
  });

  it('gets back what somebody purged', async () => {
    await manager.streams.purge('tick', { filter: 'cron.>' });
    await becomes(ticks).toContain('cron.mail.nightly');
  });

  it('has a changed one written again', async () => {
    await world.apply(mail(sources(schedule({ cron: '0 3 * * *', timeZone: 'Europe/Helsinki' }))));
    const stored = () => manager.streams.getMessage('tick', { last_by_subj: 'cron.mail.nightly' });
    await becomes(async () => (await stored())?.header.get('Nats-Schedule')).toBe('0 0 3 * * *');
    // The other one went, and its message with it.
    await becomes(ticks).toEqual(['cron.mail.nightly']);
  });

  it('has none while it is suspended, and begins anew afterwards', async () => {
    await world.apply(mail(sources(often)));
    await becomes(ticks).toEqual(['cron.mail.often', 'tick.mail.often']);
    await world.apply(mail({ ...sources(often), suspend: true }));
    await becomes(ticks).toEqual([]);
    const before = (await manager.streams.info('tick')).state.last_seq;
    await world.apply(mail(sources(nightly)));
    await becomes(ticks).toEqual(['cron.mail.nightly']);
    // The schedule itself is all that is new.
    expect((await manager.streams.info('tick')).state.last_seq).toBe(before + 1);
  });

  it('has none while the Tenant is suspended', async () => {
    await world.apply(mail(sources(often)));
    await becomes(ticks).toContain('cron.mail.often');
    await world.apply(tenant({ suspend: true }));
    await until(
      'the account is closed',
      async () =>
        admin.isClosed() ||
        (await manager.getAccountInfo().then(
          () => false,
          () => true,
        )),
      slow,
    );
    await admin.close();
    const sequence = async () => (await manager.streams.info('tick')).state.last_seq;
    await world.apply(tenant({ suspend: false }), mail({ ...sources(often), suspend: true }));
    await until(
      'the account is open',
      () =>
        open().then(
          () => true,
          () => false,
        ),
      slow,
    );
    const before = await sequence();
    await becomes(ticks).toEqual([]);
    expect(await sequence()).toBe(before);
    await world.apply(mail(sources(nightly)));
    await becomes(ticks).toEqual(['cron.mail.nightly']);
  });

  it('has none when it is gone, whatever else is kept', async () => {
    await world.kubectl(['delete', 'integrations.kanava.dev', 'mail', '-n', 'acme', '--wait=true']);
    expect(await ticks()).toEqual([]);
    expect(await consumer('tick')).toBeUndefined();
  });
});

describe('a subscriber that sleeps', { timeout: 2 * slow }, () => {
  const sleepy = { scaling: { idleAfter: '1s' } };

  it.each([
    ['an event', 'bus', sources(bus(['a'])), () => jetstream(admin).publish('bus.a', 'x')],
    [
      'an event whose order is kept',
      'bus',
      { ...sources(bus(['a'])), delivery: { ordering: 'Key' as const, key: 'body.id' } },
      () => jetstream(admin).publish('bus.a', 'x'),
    ],
    ['a schedule', 'tick', sources(schedule({ cron: '*/5 * * * * *' })), () => undefined],
  ])('is woken by %s, and sleeps again when it is worked on', async (_, stream, from, act) => {
    await world.apply(mail({ ...from, ...sleepy }));
    await becomes(() => filtersOf(stream)).toHaveLength(1);
    await act();
    await becomes(replicas).toBe(1);
    // No more comes.
    await world.apply(mail({ ...from, ...sleepy, sources: [bus(['a']), schedule({ cron: '0 0 1 1 *' })] }));
    await becomes(async () => (await ticks()).filter((subject) => subject.startsWith('cron'))).toEqual([
      'cron.mail.nightly',
    ]);
    await becomes(async () => {
      await readAll(stream);
      return replicas();
    }).toBe(0);
  });
});

describe('a subscriber that goes', { timeout: 2 * slow }, () => {
  const publish = () => jetstream(admin).publish('bus.a', 'x');

  it('keeps its place on the bus with Retain, and goes on there', async () => {
    await world.apply(mail(sources(bus(['a']))));
    await becomes(() => filtersOf('bus')).toEqual(['bus.a']);
    await world.kubectl(['delete', 'integrations.kanava.dev', 'mail', '-n', 'acme', '--wait=true']);
    await publish();
    await world.apply(mail(sources(bus(['a']))));
    await becomes(async () => (await status()).lag?.pending).toBe(1);
  });

  it('leaves nothing there with Delete', async () => {
    await world.apply(mail({ ...sources(bus(['a'])), deletionPolicy: 'Delete' }));
    await world.kubectl(['delete', 'integrations.kanava.dev', 'mail', '-n', 'acme', '--wait=true']);
    expect(await consumer('bus')).toBeUndefined();
    expect((await manager.streams.info('bus')).config.name).toBe('bus');
  });
});
