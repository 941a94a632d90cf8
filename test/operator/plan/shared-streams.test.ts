import { describe, expect, it } from 'vitest';
import { effectiveIntegration } from '../../../operator/api/effective.ts';
import { capacity, planBuckets } from '../../../operator/plan/buckets.ts';
import { planSchedules, planSharedStreams, planSubscriptions } from '../../../operator/plan/shared-streams.ts';
import { bus, http, integration, schedule } from '../../build.ts';
import { acme } from './fixtures.ts';

const specOf = (sources: NonNullable<NonNullable<Parameters<typeof integration>[0]>['sources']>) =>
  effectiveIntegration(integration({ sources }).spec);
const owner = { name: 'mail', uid: 'uid-1' };

describe('what an Integration reads of shared streams', () => {
  it('is nothing for sources that put into its inbox', () => {
    expect(planSubscriptions(owner, specOf([http()]))).toEqual([]);
    expect(planSchedules({ tenant: 'acme', integration: 'mail' }, specOf([http(), bus(['a'])]))).toEqual([]);
  });

  it('is one consumer a stream, with the types of all its sources, each once', () => {
    const sources = [bus(['a', 'b.c'], 'one'), bus(['b.c', 'd'], 'two'), schedule({ cron: '0 2 * * *' })];
    const found = planSubscriptions(owner, specOf(sources));
    expect(found.map(({ stream, consumer: { name, filters, deliver } }) => [stream, name, filters, deliver])).toEqual([
      ['bus', 'mail', ['bus.a', 'bus.b_c', 'bus.d'], 'new'],
      ['tick', 'mail', ['tick.mail.nightly'], 'all'],
    ]);
  });

  it('where order is kept is read by one worker at a time, which holds few', () => {
    const delivery = { ordering: 'Key', key: 'body.id', partitions: 8, concurrency: 32 } as const;
    const spec = effectiveIntegration(integration({ sources: [bus(['a'])], delivery }).spec);
    expect(planSubscriptions(owner, spec).map(({ consumer }) => [consumer.maxAckPending, consumer.exclusive])).toEqual([
      [64, { ownerTimeoutMs: 15_000 }],
    ]);
  });

  it('goes on behind the last known position, should somebody delete the consumer', () => {
    const [subscription] = planSubscriptions(owner, specOf([bus(['a'])]), 41);
    expect(subscription?.consumer.deliver).toEqual({ after: 41 });
  });
});

describe('the shared streams', () => {
  it('have the sizes of the Tenant, and all of a tenant fits by default', () => {
    const { messaging } = acme({ messaging: { bus: { maxBytes: '1Gi', retention: '24h' } } });
    expect(planSharedStreams({ uid: 'u', messaging }).bus).toMatchObject({
      maxBytes: 2 ** 30,
      maxAgeMs: 86_400_000,
      discard: 'old',
    });
    const usual = acme().messaging;
    const { bus: events, tick } = planSharedStreams({ uid: 'u', messaging: usual });
    expect(capacity([events, tick, ...planBuckets({ uid: 'u', replicas: 1 })], usual).ok).toBe(true);
  });
});
