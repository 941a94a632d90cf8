import { effectiveIntegration, effectiveTenant } from '../../operator/api/effective.ts';
import { parseIntegration, parseTenant } from '../../operator/api/parse.ts';
import { planAccountLimits } from '../../operator/plan/account.ts';
import { planBuckets } from '../../operator/plan/buckets.ts';
import { planSharedStreams } from '../../operator/plan/shared-streams.ts';
import { planStreams } from '../../operator/plan/streams.ts';
import type { World } from '../../test/operator/broker/world.ts';
import type { LagTask } from './lag.ts';
import { integrationName, orders, type Sizes, tenantName, tenantOf } from './scene.ts';

/** Accounts and streams of so many Integrations as the operator makes them, without the API server: the meter sees nothing else. */
export const makeStreams = async ({ broker }: World, sizes: Sizes): Promise<LagTask['integrations']> => {
  const each = sizes.integrations / sizes.tenants;
  const made: LagTask['integrations'][number][] = [];
  const makeTenant = async (index: number) => {
    const namespace = tenantName(index);
    const parsed = parseTenant(tenantOf(namespace, each));
    if (!parsed.ok) throw new Error(parsed.finding.message);
    const spec = effectiveTenant(namespace, parsed.value.spec);
    const keys = broker.newAccountKeys();
    await broker.ensureAccount(namespace, keys, planAccountLimits(spec), { suspended: false });
    const { bus, tick } = planSharedStreams({ uid: namespace, messaging: spec.messaging });
    const streams = [...planBuckets({ uid: namespace, replicas: spec.messaging.replicas }), bus, tick];
    for (let of = 0; of < each; of += 1) {
      const name = integrationName(index * each + of);
      const integration = parseIntegration(orders(namespace, name));
      if (!integration.ok) throw new Error(integration.finding.message);
      streams.push(...planStreams({ name, uid: name }, effectiveIntegration(integration.value.spec)));
      made.push({ account: keys.account, namespace, name });
    }
    for (const stream of streams) await broker.tenant(keys).ensureStream(stream, { isNew: true });
  };
  let next = 0;
  const worker = async () => {
    while (next < sizes.tenants) await makeTenant(next++);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return made;
};
