import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { effectiveIntegration } from '../../../operator/api/effective.ts';
import { planSchedules, planSharedStreams, planSubscriptions } from '../../../operator/plan/shared-streams.ts';
import { integration, schedule } from '../../build.ts';
import { acme } from '../plan/fixtures.ts';
import { startWorld, type World, type WorldTenant } from './world.ts';

/* Schedules as the operator writes them and a real server serves them. No worker runs here. */
let world: World;
let tenant: WorldTenant;
let admin: NatsConnection;
let manager: JetStreamManager;
const { tick } = planSharedStreams({ uid: 'uid-t', messaging: acme().messaging });
const specOf = (...sources: ReturnType<typeof schedule>[]) => effectiveIntegration(integration({ sources }).spec);
const planned = (...sources: ReturnType<typeof schedule>[]) =>
  planSchedules({ tenant: 'acme', integration: 'reports' }, specOf(...sources));
const nightly = schedule({ cron: '0 2 * * *', timeZone: 'Europe/Helsinki', body: '{"full":true}' }, 'nightly');
const eachSecond = schedule({ cron: '* * * * * *' }, 'often');

const subjects = async () =>
  Object.keys((await manager.streams.info('tick', { subjects_filter: '>' })).state.subjects ?? {}).toSorted();
const sequenceOf = async (subject: string) =>
  (await manager.streams.getMessage('tick', { last_by_subj: subject }))?.seq ?? 0;

beforeAll(async () => {
  world = await startWorld();
  tenant = await world.tenant('acme');
  admin = await tenant.admin();
  manager = await jetstreamManager(admin);
  const [subscription] = planSubscriptions({ name: 'reports', uid: 'uid-1' }, specOf(nightly, eachSecond));
  if (!subscription) throw new Error('a schedule has a consumer');
  await tenant.broker.ensureStream({ ...tick, consumers: [subscription.consumer] });
});
afterAll(() => world.stop());
beforeEach(() => tenant.broker.ensureSchedules('reports', []));

test('the stream of ticks is read back as it was planned, rollup headers and all', async () => {
  const { config } = await manager.streams.info('tick');
  expect(config).toMatchObject({ allow_msg_schedules: true, max_msgs_per_subject: 1 });
  // The server switches them on with schedules; only the operator writes here, and what it did not ask for would be refused.
  expect(config.allow_rollup_hdrs).toBe(true);
  await tenant.broker.ensureStream(tick);
});

describe('schedules', () => {
  test('are written once, again when they change, and go', async () => {
    await tenant.broker.ensureSchedules('reports', planned(nightly));
    const first = await sequenceOf('cron.reports.nightly');
    expect(first).toBeGreaterThan(0);
    await tenant.broker.ensureSchedules('reports', planned(nightly));
    expect(await sequenceOf('cron.reports.nightly')).toBe(first);
    await tenant.broker.ensureSchedules('reports', planned(schedule({ cron: '0 3 * * *' }, 'nightly')));
    const stored = await manager.streams.getMessage('tick', { last_by_subj: 'cron.reports.nightly' });
    expect(stored?.header.get('Nats-Schedule')).toBe('0 0 3 * * *');
    await tenant.broker.ensureSchedules('reports', []);
    expect(await subjects()).toEqual([]);
  });

  test('of a source that goes take their message along; those of others stay', async () => {
    await tenant.broker.ensureSchedules('reports', planned(nightly, eachSecond));
    await tenant.broker.ensureSchedules(
      'billing',
      planSchedules({ tenant: 'acme', integration: 'billing' }, specOf(nightly)),
    );
    await expect.poll(subjects, { timeout: 60_000 }).toContain('tick.reports.often');
    await tenant.broker.ensureSchedules('reports', planned(nightly));
    expect(await subjects()).toEqual(['cron.billing.nightly', 'cron.reports.nightly']);
    await tenant.broker.ensureSchedules('billing', []);
  });

  test('purged by hand come back', async () => {
    await tenant.broker.ensureSchedules('reports', planned(nightly));
    await manager.streams.purge('tick', { filter: 'cron.>' });
    await tenant.broker.ensureSchedules('reports', planned(nightly));
    expect(await subjects()).toEqual(['cron.reports.nightly']);
  });

  test('in a zone that the server does not know say what its image needs', async () => {
    const [entry] = planned(nightly);
    if (!entry) throw new Error('one schedule was planned');
    const headers = { ...entry.headers, 'Nats-Schedule-Time-Zone': 'Mars/Olympus' };
    const writing = tenant.broker.ensureSchedules('reports', [{ ...entry, headers }]);
    await expect(writing).rejects.toMatchObject({ code: 'Invalid', message: expect.stringContaining('tzdata') });
  });

  test('of a tenant without the stream are none', async () => {
    const bare = await world.tenant('bare');
    await bare.broker.ensureSchedules('reports', []);
  });
});

test('times that nobody worked on leave one message', async () => {
  await tenant.broker.ensureSchedules('reports', planned(eachSecond));
  // Several have been due, and one is there.
  const last = async () => (await manager.streams.info('tick')).state.last_seq;
  const before = await last();
  await expect.poll(last, { timeout: 60_000 }).toBeGreaterThan(before + 3);
  expect(await subjects()).toEqual(['cron.reports.often', 'tick.reports.often']);
  // The server tells its consumers after it stored, each second anew.
  await expect.poll(async () => (await manager.consumers.info('tick', 'reports')).num_pending).toBe(1);
});

test('a closed account has no schedules, and none when it is open again', async () => {
  await tenant.broker.ensureSchedules('reports', planned(nightly, eachSecond));
  await expect.poll(subjects, { timeout: 60_000 }).toContain('tick.reports.often');
  const close = (suspended: boolean) => world.broker.ensureAccount('acme', tenant.keys, tenant.limits, { suspended });
  await close(true);
  await close(true);
  await close(false);
  manager = await jetstreamManager(await tenant.admin());
  expect(await subjects()).toEqual([]);
});
