import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { catalog } from '../../../runtime/catalog.ts';
import { createEgress } from '../../../runtime/egress.ts';
import { consumersOf } from '../../../runtime/engine/consumers.ts';
import { createEngine } from '../../../runtime/engine/engine.ts';
import { createOwnInbox } from '../../../runtime/engine/own-inbox.ts';
import { openParts, type Parts } from '../../../runtime/engine/parts.ts';
import { createPeers } from '../../../runtime/engine/peers.ts';
import { createPublisher } from '../../../runtime/engine/publisher.ts';
import { createStepMemory } from '../../../runtime/engine/step-memory.ts';
import type { Flow } from '../../../runtime/flow.ts';
import { peerSubject } from '../../../runtime/nats/names.ts';
import { readSettings } from '../../../runtime/settings.ts';
import { newCounters } from '../../../runtime/telemetry.ts';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import type { Transport } from '../../../runtime/transport/transport.ts';
import type { KillPlan, LastWords } from '../../faults/kill-plan.ts';
import { plannedStep, streamSink } from '../../faults/planned-parts.ts';
import { changedDelivery, faults } from './broken-rules.ts';

/*
 * The real engine in a process that harms itself: it dies at a chosen point of a message (TEST_KILL), or its transport breaks one rule
 * (TEST_FAULT), for controls. Everything is done by wrapping what the engine is given.
 */
const { dir, volumes } = readSettings(process.env);
const log = pino({ level: process.env['KANAVA_LOG_LEVEL'] ?? 'info' });
const counters = newCounters();
const plan = JSON.parse(process.env['TEST_KILL'] ?? 'null') as KillPlan | null;
let left = plan?.after ?? 0;
let redelivered = 0;
let running = (): number => 0;

/** Written with the pipe's own call: nothing buffered survives a SIGKILL. */
const lastWords = (killed: LastWords['killed']) => {
  const words: LastWords = { killed, running: running(), redelivered, suspects: counters.suspects };
  writeSync(1, `${JSON.stringify(words)}\n`);
};
const reach = (point: KillPlan['point']) => {
  if (plan?.point !== point) return;
  left -= 1;
  if (left > 0) return;
  lastWords(point);
  process.kill(process.pid, 'SIGKILL');
};

const deadly = (transport: Transport): Transport => ({
  ...transport,
  consume: (consumer, options) =>
    transport.consume(consumer, {
      ...options,
      deliver: (delivery) => {
        if (delivery.deliveries > 1) redelivered += 1;
        reach('pulled');
        const ack = async () => {
          reach('before ack');
          await delivery.ack();
          reach('after ack');
        };
        options.deliver(changedDelivery(delivery, { ack }));
      },
    }),
  async publish(entry) {
    const stored = await transport.publish(entry);
    reach('published');
    return stored;
  },
  state: {
    ...transport.state,
    async write(...entry) {
      const written = await transport.state.write(...entry);
      reach('while parking');
      return written;
    },
  },
});
const deadlyParts = (parts: Parts): Parts => ({
  ...parts,
  steps: parts.steps.map((step, index) => ({
    ...step,
    run: (message, attempt) => {
      if (index === 0) reach('parsed');
      return step.run(message, attempt);
    },
  })),
  sinks: parts.sinks.map((sink) => ({
    ...sink,
    async send(message, attempt) {
      reach('before sink');
      await sink.send(message, attempt);
      reach('after sink');
    },
  })),
});

// Its bundle is a script, which cannot await at its top.
const main = async () => {
  const flow = JSON.parse(readFileSync(join(dir, 'flow.json'), 'utf8')) as Flow;
  const name = process.env['TEST_FAULT'] ?? 'none';
  const fault = faults[name];
  if (!fault) throw new Error(`TEST_FAULT must be one of ${Object.keys(faults).join(', ')}, not "${name}"`);
  const real = await connectTransport({
    folder: join(dir, 'nats'),
    role: 'worker',
    integration: flow.integration,
    name: 'faulty',
    log,
  });
  const transport = deadly(fault(real, flow));
  const plugins = {
    ...catalog,
    steps: new Map([...catalog.steps, ['planned', plannedStep(() => reach('in step'))]]),
    sinks: new Map([...catalog.sinks, ['stream', streamSink(real)]]),
  };
  const parts = await openParts(flow, plugins, {
    secret: () => '',
    ca: () => '',
    volume: (claim) => join(volumes, claim),
    egress: createEgress(flow.egress),
    publisher: createPublisher(Promise.resolve(real), flow.integration),
    memory: createStepMemory(Promise.resolve(transport), flow.integration),
    own: createOwnInbox(Promise.resolve(transport), flow),
    now: Date.now,
    signal: new AbortController().signal,
    log,
  });
  const peers = createPeers({
    notices: real,
    subject: peerSubject(flow.integration),
    id: String(process.pid),
    healthy: real.healthy,
    now: Date.now,
  });
  const engine = createEngine({ flow, parts: deadlyParts(parts), transport, counters, log, peers });
  running = () => engine.load().running;
  process.once('SIGTERM', () => {
    void engine.drain(20_000).then(async () => {
      await real.close();
      lastWords('no');
      process.exit();
    });
  });
  engine.start(consumersOf(flow, catalog.sources));
  writeSync(1, 'worker pulls\n');
};
void main();
