import type { SourceDefinition } from '../connector.ts';
import { type Flow, pluginOf } from '../flow.ts';
import { inboxStream, workerConsumer } from '../nats/names.ts';

export interface Consumer {
  readonly stream: string;
  readonly name: string;
  /** Read by one worker at a time, because its order is kept. */
  readonly exclusive: boolean;
}

/**
 * The durable consumers that a flow's worker reads: one for each partition of its inbox, one for each shared stream it listens to. The inbox
 * is read whatever the sources are: messages of earlier ones may still lie in it.
 */
export const consumersOf = (flow: Flow, sources: ReadonlyMap<string, SourceDefinition>): Consumer[] => {
  const shared = flow.sources.flatMap((item) => {
    const { definition, config } = pluginOf(item, sources);
    return definition.placement === 'broker' ? [definition.bind(config).stream] : [];
  });
  const exclusive = flow.delivery.ordering === 'Key';
  return [
    ...Array.from({ length: flow.delivery.partitions }, (_, partition) => ({
      stream: inboxStream(flow.integration),
      name: workerConsumer(partition),
      exclusive,
    })),
    ...[...new Set(shared)].map((stream) => ({ stream, name: flow.integration, exclusive })),
  ];
};
