import { effectiveIntegration } from '../../../operator/api/effective.ts';
import { planSharedStreams, planSubscriptions } from '../../../operator/plan/shared-streams.ts';
import type { StreamSpec } from '../../../operator/reconcile/ports.ts';
import { integration } from '../../build.ts';
import { deadLetterSpec, inboxSpec } from '../../operator/broker/specs.ts';
import { acme } from '../../operator/plan/fixtures.ts';
import type { Workshop } from './workshop.ts';

/* Streams and consumers of Integrations that read shared streams, as the operator plans them, for tests with workers as processes. */
type Sources = NonNullable<NonNullable<Parameters<typeof integration>[0]>['sources']>;
type Delivery = NonNullable<NonNullable<Parameters<typeof integration>[0]>['delivery']>;
export const shared = planSharedStreams({ uid: 'uid-t', messaging: acme().messaging });
/** Where nobody is killed: on a machine that stands still for a while nothing is delivered twice. */
export const patient = { ackWaitMs: 30_000 };
export const hasty = { ackWaitMs: 1_500 };

/** What the operator does for an Integration that reads shared streams; again when its sources change. */
export const subscribe = async (
  { tenant }: Workshop,
  name: string,
  sources: Sources,
  { ackWaitMs, ...changed }: Partial<StreamSpec> & { ackWaitMs: number } = patient,
  delivery: Delivery = {},
) => {
  const { spec } = integration({ sources, delivery });
  for (const { stream, consumer } of planSubscriptions({ name, uid: name }, effectiveIntegration(spec))) {
    await tenant.broker.ensureStream({ ...shared[stream], ...changed, consumers: [{ ...consumer, ackWaitMs }] });
  }
};

/** Its own streams, which it has whatever it reads. */
export const ownStreams = async ({ tenant }: Workshop, name: string) => {
  await tenant.broker.ensureStream(inboxSpec(name, { maxBytes: 1024 ** 2 }));
  await tenant.broker.ensureStream(deadLetterSpec(name));
};

/** Messages that are not done yet. The server counts a new one a moment after it has confirmed it. */
export const waiting = async ({ manager }: Workshop, stream: string, name: string): Promise<number> => {
  const { num_pending, num_ack_pending } = await manager.consumers.info(stream, name);
  return num_pending + num_ack_pending;
};
