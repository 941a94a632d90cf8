import { expect, it } from 'vitest';
import { effectiveIntegration } from '../../../operator/api/effective.ts';
import { planSchedules } from '../../../operator/plan/shared-streams.ts';
import { httpSink, integration, schedule } from '../../build.ts';
import { ownStreams, patient, subscribe, waiting } from './shared-streams.ts';
import { eventually, flowTo, startReceiver, startWorkshop } from './workshop.ts';

it('a schedule that nobody worked on is one message, of the same id however often it is delivered', {
  timeout: 180_000,
}, async () => {
  const [workshop, receiver] = await Promise.all([startWorkshop(patient), startReceiver()]);
  await ownStreams(workshop, 'reports');
  const sources = [schedule({ cron: '* * * * * *', body: '{"full": true}', type: 'report.due' })];
  await subscribe(workshop, 'reports', sources);
  const schedules = planSchedules(
    { tenant: 'acme', integration: 'reports' },
    effectiveIntegration(integration({ sources }).spec),
  );
  const { broker } = workshop.tenant;
  await broker.ensureSchedules('reports', schedules);
  const last = async () => (await workshop.manager.streams.info('tick')).state.last_seq;
  await eventually(last).toBeGreaterThan(4);
  // As suspending does it, but for the message that is there.
  await workshop.manager.streams.purge('tick', { filter: 'cron.>' });
  await eventually(() => waiting(workshop, 'tick', 'reports')).toBe(1);
  receiver.behave((_, calls) => (calls.length < 3 ? 503 : 200));
  await workshop.startWorker(
    flowTo(receiver.url, {
      integration: 'reports',
      sources,
      steps: [{ name: 'due', filter: { when: 'body.full' } }],
      sinks: [httpSink({ path: '/reports' }, 'out')],
    }),
  );
  await eventually(() => waiting(workshop, 'tick', 'reports')).toBe(0);
  expect(receiver.calls).toHaveLength(3);
  const [call] = receiver.calls;
  expect(new Set(receiver.calls.map(({ id }) => id)).size).toBe(1);
  expect(call?.id).toMatch(/^\/acme\/reports\/nightly\/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(call?.headers).toMatchObject({ 'ce-type': 'report.due', 'ce-source': '/acme/reports/nightly' });
  expect(call?.id.endsWith(String(call.headers['ce-time']))).toBe(true);
  expect(Object.keys(call?.headers ?? {}).filter((name) => /nats/i.test(name))).toEqual([]);
});
