import type { EffectiveIntegration } from '../api/effective.ts';
import type { IntegrationStatus } from '../api/integration.ts';
import { planSchedules, planSharedStreams, planSubscriptions } from '../plan/shared-streams.ts';
import type { KubeObject, StreamState, TenantBroker } from './ports.ts';
import type { Holder } from './tenancy.ts';
import { isSuspended } from './worker-of.ts';

/** The shared streams that an Integration reads, each with its own consumer only. */
export type Subscribed = Partial<Readonly<Record<'bus' | 'tick', StreamState>>>;

interface Wish {
  readonly object: KubeObject;
  readonly holder: Holder;
  readonly spec: EffectiveIntegration;
  /** What was in place: consumers and schedules that it needed and the new spec does not are taken away. */
  readonly earlier: EffectiveIntegration | undefined;
}

/** Makes or repairs what an Integration has on the streams of its tenant: its consumers, and its schedules unless it is suspended. */
export const ensureSubscriptions = async (
  tenant: TenantBroker,
  { object, holder, spec, earlier }: Wish,
): Promise<Subscribed> => {
  const { name, uid = '' } = object.metadata;
  const streams = planSharedStreams({ uid: holder.object.metadata.uid ?? '', messaging: holder.spec.messaging });
  const { bus } = (object['status'] ?? {}) as IntegrationStatus;
  const wanted = planSubscriptions({ name, uid }, spec, bus?.position);
  const subscribed = await Promise.all(
    wanted.map(async ({ stream, consumer }) => [
      stream,
      await tenant.ensureStream({ ...streams[stream], consumers: [consumer] }),
    ]),
  );
  const had = earlier ? planSubscriptions({ name, uid }, earlier) : [];
  const hasTicks = [...wanted, ...had].some(({ stream }) => stream === 'tick');
  const schedules = isSuspended(object) ? [] : planSchedules({ tenant: holder.name, integration: name }, spec);
  if (hasTicks) await tenant.ensureSchedules(name, schedules);
  for (const { stream } of had) {
    if (!wanted.some((one) => one.stream === stream)) await tenant.deleteConsumer(stream, name);
  }
  return Object.fromEntries(subscribed) as Subscribed;
};
