import type { SourceDefinition } from '../connector.ts';
import { type Flow, pluginOf } from '../flow.ts';
import { inboxStream, workerConsumer } from '../nats/names.ts';

/** The durable consumers that a flow's worker reads: one for each partition of its inbox, one for each shared stream it listens to. */
export const consumersOf = (
  flow: Flow,
  sources: ReadonlyMap<string, SourceDefinition>,
): { stream: string; name: string }[] => {
  const placed = flow.sources.map((item) => {
    const { definition, config } = pluginOf(item, sources);
    return { item, definition, config };
  });
  const shared = placed.flatMap(({ item, definition, config }) =>
    definition.placement === 'broker'
      ? [definition.bind(config, { integration: flow.integration, source: item.name }).stream]
      : [],
  );
  const stored = placed.some(({ definition }) => definition.placement !== 'broker');
  const partitions = stored ? flow.delivery.partitions : 0;
  return [
    ...Array.from({ length: partitions }, (_, partition) => ({
      stream: inboxStream(flow.integration),
      name: workerConsumer(partition),
    })),
    ...[...new Set(shared)].map((stream) => ({ stream, name: flow.integration })),
  ];
};
