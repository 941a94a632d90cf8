import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { catalog } from '../../../runtime/catalog.ts';
import { createEgress } from '../../../runtime/egress.ts';
import { consumersOf } from '../../../runtime/engine/consumers.ts';
import { createEngine } from '../../../runtime/engine/engine.ts';
import { openParts } from '../../../runtime/engine/parts.ts';
import { createPublisher } from '../../../runtime/engine/publisher.ts';
import { flowSchema } from '../../../runtime/flow.ts';
import { readSettings } from '../../../runtime/settings.ts';
import { newCounters } from '../../../runtime/telemetry.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import type { Delivery, Transport } from '../../../runtime/transport/transport.ts';

/*
 * The same engine on a transport that breaks one rule, for control runs: the checks that the real worker passes must fail here.
 *   ack-before-sink   the broker forgets a message when it is delivered
 *   count-deliveries  attempts are what the broker counts
 */
const faults: Readonly<Record<string, (transport: Transport) => Transport>> = {
  'ack-before-sink': (transport) => ({
    ...transport,
    consume: (consumer, options) =>
      transport.consume(consumer, {
        ...options,
        deliver: (delivery) => {
          const early = delivery.ack();
          options.deliver({ ...delivery, ack: () => early, nak: () => undefined });
        },
      }),
  }),
  'count-deliveries': (transport) => {
    const deliveries = new Map<string, number>();
    const remember = (delivery: Delivery) =>
      deliveries.set(`orders.m.${delivery.stream}.${delivery.sequence}`, delivery.deliveries);
    return {
      ...transport,
      consume: (consumer, options) =>
        transport.consume(consumer, {
          ...options,
          deliver: (delivery) => {
            remember(delivery);
            options.deliver(delivery);
          },
        }),
      state: {
        ...transport.state,
        async read(key) {
          const found = await transport.state.read(key);
          if (!found) return found;
          const record = {
            ...JSON.parse(Buffer.from(found.value).toString()),
            attempts: (deliveries.get(key) ?? 1) - 1,
          };
          return { ...found, value: Buffer.from(JSON.stringify(record)) };
        },
      },
    };
  },
};

const { dir } = readSettings(process.env);
const log = pino({ level: 'info' });
const flow = flowSchema.parse(JSON.parse(readFileSync(join(dir, 'flow.json'), 'utf8')));
const fault = faults[process.env['TEST_FAULT'] ?? ''];
if (!fault) throw new Error(`TEST_FAULT must be one of ${Object.keys(faults).join(', ')}`);
const transport = fault(
  await connectTransport({
    folder: join(dir, 'nats'),
    role: 'worker',
    integration: flow.integration,
    name: 'faulty',
    log,
  }),
);
const parts = await openParts(flow, catalog, {
  secret: () => '',
  ca: () => '',
  egress: createEgress(flow.egress),
  publisher: createPublisher(Promise.resolve(transport), flow.integration),
  signal: new AbortController().signal,
  log,
});
createEngine({ flow, parts, transport, counters: newCounters(), log }).start(consumersOf(flow, catalog.sources));
log.info({}, 'worker pulls');
