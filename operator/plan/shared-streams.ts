import { catalog } from '../../runtime/catalog.ts';
import type { Binding } from '../../runtime/connector.ts';
import { pluginOf } from '../../runtime/flow.ts';
import { busStream, busSubject, busSubjects, tickStream, tickSubject, tickSubjects } from '../../runtime/nats/names.ts';
import { type ScheduleEntry, scheduleEntry } from '../../runtime/nats/ticks.ts';
import type { EffectiveIntegration, EffectiveTenant } from '../api/effective.ts';
import type { ConsumerSpec, StreamSpec } from '../reconcile/ports.ts';
import { ackWaitMs, duplicateWindowMs, planReaders } from './streams.ts';

/*
 * What all Integrations of a tenant share: the bus and the ticks. Each subscriber has a durable consumer of its own name there; nothing is
 * copied into inboxes, unless one keeps order by key: its workers move there what they read, one at a time.
 */
const mebibyte = 1024 * 1024;
/** NATS cannot change it later. Only the operator makes consumers, one an Integration: it is a bound, not a setting. */
const maxConsumers = 1_000;
/** Schedules and their latest messages, both of at most 16 KiB: hundreds of Integrations. */
const tickBytes = 16 * mebibyte;

export const planSharedStreams = (tenant: {
  readonly uid: string;
  readonly messaging: EffectiveTenant['messaging'];
}): { readonly bus: StreamSpec; readonly tick: StreamSpec } => {
  const base = {
    retention: 'limits',
    storage: 'file',
    replicas: tenant.messaging.replicas,
    duplicateWindowMs,
    metadata: { 'kanava.dev/uid': tenant.uid },
    consumers: [],
  } as const;
  const { maxBytes, retentionMs } = tenant.messaging.bus;
  return {
    bus: {
      ...base,
      name: busStream,
      subjects: [busSubjects],
      // A subscriber that does not read must not stop the publishers.
      discard: 'old',
      maxBytes,
      maxAgeMs: retentionMs,
      duplicateWindowMs: Math.min(duplicateWindowMs, retentionMs),
      maxConsumers,
    },
    tick: {
      ...base,
      name: tickStream,
      subjects: tickSubjects,
      // The server allows no other with schedules. Full, it would drop some: whoever writes them looks whether they fit.
      discard: 'old',
      maxBytes: tickBytes,
      maxMsgsPerSubject: 1,
      allowDirect: true,
      allowMsgTtl: true,
      allowSchedules: true,
      maxConsumers,
    },
  };
};

export interface Subscription {
  readonly stream: Binding['stream'];
  readonly consumer: ConsumerSpec;
}

/**
 * The durable consumers that an Integration reads shared streams with. A subscription to the bus begins with the next event; one that
 * somebody deleted goes on behind `position`, the last known one.
 */
export const planSubscriptions = (
  owner: { readonly name: string; readonly uid: string },
  spec: Pick<EffectiveIntegration, 'sources' | 'delivery'>,
  position?: number,
): Subscription[] => {
  const filters = { bus: new Set<string>(), tick: new Set<string>() };
  for (const { name, binding } of bindingsOf(spec)) {
    if (binding.stream === 'bus') for (const type of binding.types) filters.bus.add(busSubject(type));
    else filters.tick.add(tickSubject(owner.name, name));
  }
  const deliver = { bus: position === undefined ? 'new' : { after: position }, tick: 'all' } as const;
  return (['bus', 'tick'] as const)
    .filter((stream) => filters[stream].size > 0)
    .map((stream) => ({
      stream,
      consumer: {
        name: owner.name,
        filters: [...filters[stream]],
        ackWaitMs,
        ...planReaders(spec.delivery, 1),
        deliver: deliver[stream],
        metadata: { 'kanava.dev/uid': owner.uid, 'kanava.dev/integration': owner.name },
      },
    }));
};

export const planSchedules = (
  { tenant, integration }: { readonly tenant: string; readonly integration: string },
  spec: Pick<EffectiveIntegration, 'sources'>,
): ScheduleEntry[] =>
  bindingsOf(spec).flatMap(({ name, binding }) =>
    binding.stream === 'tick' ? [scheduleEntry({ tenant, integration, source: name }, binding.schedule)] : [],
  );

/** What the sources of an Integration read of shared streams, by the source's name. */
export const bindingsOf = ({ sources }: Pick<EffectiveIntegration, 'sources'>): { name: string; binding: Binding }[] =>
  sources.flatMap((item) => {
    const { definition, config } = pluginOf(item, catalog.sources);
    return definition.placement === 'broker' ? [{ name: item.name, binding: definition.bind(config) }] : [];
  });
