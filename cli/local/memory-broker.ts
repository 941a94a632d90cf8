import { letterOf } from '../../runtime/dead-letters/letter.ts';
import { resumeHeader } from '../../runtime/nats/envelope.ts';
import { deadLetterStream, inboxStream } from '../../runtime/nats/names.ts';
import { wakeType } from '../../runtime/steps/alarms.ts';
import { type Clock, createMemoryTransport } from '../../runtime/transport/memory.ts';
import type { Delivery } from '../../runtime/transport/transport.ts';
import type { LocalBroker } from './broker.ts';
import type { LocalIntegration } from './plan.ts';

/* Everything in this process; forgotten at the end. */
const reader = 'console';

export const memoryBroker = (clock?: Clock): LocalBroker => {
  const transport = createMemoryTransport({ streams: [], ...(clock ? { clock } : {}) });
  const followed = new Set<string>();
  return {
    transport,
    answers: transport.state,
    async prepare(integration, told) {
      transport.apply(streamsOf(integration));
      const letters = deadLetterStream(integration.name);
      if (followed.has(letters)) return;
      followed.add(letters);
      const deliver = (delivery: Delivery) => {
        told(letterOf({ ...delivery, time: new Date().toISOString() }));
        void delivery.ack();
      };
      transport.consume({ stream: letters, name: reader }, { credit: () => 100, deliver });
    },
    timers: (integration) => transport.stored(inboxStream(integration), isTimer),
    untold: () => [...followed].reduce((total, letters) => total + transport.stored(letters), 0),
    async close() {
      await transport.close();
      return [];
    },
  };
};

const isTimer = (headers: Readonly<Record<string, string>>): boolean =>
  headers[resumeHeader] !== undefined && headers['ce-type'] === wakeType;

/** Dead letters are read by this process as soon as they are written, so that they never fill up. */
const streamsOf = ({ name, streams }: LocalIntegration) =>
  streams.map((stream) =>
    stream.name === deadLetterStream(name)
      ? {
          ...stream,
          retention: 'workqueue' as const,
          consumers: [{ name: reader, filters: [], ackWaitMs: 30_000, maxAckPending: 1_000 }],
        }
      : stream,
  );
