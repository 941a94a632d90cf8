import { onTestFinished } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { BrokerSource, SinkDefinition } from '../../../runtime/connector.ts';
import { createEgress } from '../../../runtime/egress.ts';
import { createPublisher } from '../../../runtime/engine/publisher.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import { stopProcess } from '../../cluster/signals.ts';
import { type SinkUnderTest, sinkConformance } from '../../conformance/sink.ts';
import { brokerSourceConformance } from '../../conformance/source.ts';
import { attemptOf } from '../attempt.ts';
import { hasty, shared, subscribe, waiting } from '../engine/shared-streams.ts';
import { ids, integration, silent, type Workshop } from '../engine/workshop.ts';
import { messageOf } from '../steps/harness.ts';

const publisherOf = async ({ tenant, world }: Workshop) => {
  const folder = await tenant.folder('worker', integration);
  const transport = await connectTransport({ folder, role: 'worker', integration, name: 'test sink', log: silent });
  onTestFinished(async () => {
    // A test that failed may have left it stopped.
    process.kill(world.pid, 'SIGCONT');
    await transport.close();
  });
  return createPublisher(Promise.resolve(transport), integration)('out');
};

/** The server itself is the other side: stopped, killed and started again. */
const makeBus = async (workshop: Workshop): Promise<SinkUnderTest> => {
  const { tenant, world, manager } = workshop;
  await tenant.broker.ensureStream(shared.bus);
  return {
    context: {
      egress: createEgress({ allow: [], closed: [] }),
      connection: undefined,
      publish: await publisherOf(workshop),
    },
    other: {
      async effects() {
        const { state } = await manager.streams.info('bus');
        const found = [];
        for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
          found.push((await manager.streams.getMessage('bus', { seq }))?.header.get('ce-id') ?? '');
        }
        return found;
      },
      hold: () => stopProcess(world.pid),
      reached: () => Promise.resolve(),
      answer: async () => void process.kill(world.pid, 'SIGCONT'),
      leave: () => world.kill(),
      back: () => world.start(),
    },
  };
};

sinkConformance('bus', {
  definition: catalog.sinks.get('bus') as SinkDefinition,
  config: { type: 'order.placed' },
  bad: [
    ['a type that looks like a wildcard', { type: 'order.*' }],
    ['a type with blanks', { type: 'order placed' }],
  ],
  make: makeBus,
});

brokerSourceConformance('bus', {
  definition: catalog.sources.get('bus') as BrokerSource,
  config: { types: ['order.placed'] },
  bad: [
    ['no type', { types: [] }],
    ['a type that looks like a wildcard', { types: ['order.>'] }],
  ],
  subscribe: (workshop, source) => subscribe(workshop, integration, [source], hasty),
  left: (workshop) => waiting(workshop, 'bus', integration),
  async put(workshop) {
    const publish = await publisherOf(workshop);
    const sent = ids(60);
    for (const id of sent) {
      const attrs = { id, source: '/shop', type: 'order.placed', specversion: '1.0' } as const;
      await publish(messageOf({ id }, { attrs }), attemptOf());
    }
    return sent;
  },
});
