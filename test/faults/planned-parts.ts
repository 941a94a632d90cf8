import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { defineSink, defineStep, type SinkDefinition, type StepDefinition } from '../../runtime/connector.ts';
import { reject, retry } from '../../runtime/errors.ts';
import { encodeMessage } from '../../runtime/nats/envelope.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import type { PlannedBody } from './kill-plan.ts';

/** A step that fails as the message says; a sink that writes into a stream, with the message's id or without one. */
export const plannedStep = (inStep: () => void): StepDefinition =>
  defineStep({
    name: 'planned',
    summary: 'Fails as the message says.',
    state: 'none',
    config: z.strictObject({}),
    open: () => ({
      run: (message, attempt) => {
        inStep();
        const { fails, rejected, harm } = message.body.value() as unknown as PlannedBody;
        if (harm === 'fault') process.kill(process.pid, 'SIGSEGV');
        if (harm === 'memory') fillTheHeap();
        if (rejected) throw reject('PlannedRejection', 'the message asks for it');
        // Longer than what is waited for in memory: it is parked.
        if (attempt.number <= fails) throw retry('PlannedFailure', 'the message asks for it', { afterMs: 3_000 });
        return message;
      },
    }),
  });

export const streamSink = (transport: Pick<Transport, 'publish'>): SinkDefinition =>
  defineSink({
    name: 'stream',
    summary: 'Writes into a stream.',
    config: z.strictObject({ subject: z.string(), deduplicated: z.boolean() }),
    idempotent: () => 'nothing looks at the id',
    open: async ({ subject, deduplicated }) => ({
      send: async (message) => {
        const { headers, body } = encodeMessage(message);
        await transport.publish({ subject, id: deduplicated ? message.attrs.id : randomUUID(), headers, body });
      },
    }),
  });

const fillTheHeap = () => {
  for (const kept: unknown[] = []; ; ) kept.push(Array.from({ length: 1_000 }, () => ({})));
};
