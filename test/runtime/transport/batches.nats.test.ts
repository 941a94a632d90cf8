import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectTransport } from '../../../runtime/transport/jetstream.ts';
import { startNats } from '../../cluster/nats.ts';
import { temporaryFolder } from '../../cluster/temporary.ts';

const setUp = async (stream: Partial<StreamConfig>) => {
  const server = await startNats({ jetstream: 'sync_interval: always' });
  onTestFinished(() => server.close());
  const connection = await connect({ servers: server.url });
  onTestFinished(() => connection.close());
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'bus', subjects: ['bus.*'], storage: 'file', ...stream });
  const folder = await temporaryFolder('batches');
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'url'), server.url);
  const log = pino({ level: 'silent' });
  const transport = await connectTransport({ folder, role: 'worker', integration: 'orders', name: 'test', log });
  onTestFinished(() => transport.close());
  const publish = (id: string) =>
    transport.publish({ subject: 'bus.order', id, headers: { 'ce-id': id }, body: Buffer.from(`body of ${id}`) });
  const stored = async (sequence: number) => {
    const message = await manager.streams.getMessage('bus', { seq: sequence });
    return { body: message?.string(), batch: message?.header.get('Nats-Batch-Id') || undefined };
  };
  const count = async () => (await manager.streams.info('bus')).state.messages;
  return { manager, publish, stored, count };
};
const names = (count: number) => Array.from({ length: count }, (_, index) => `e${index}`);

describe('events that are published together', { timeout: 90_000 }, () => {
  it('are stored together, each with its own answer', async () => {
    const { publish, stored, count } = await setUp({ allow_atomic: true });
    const answers = await Promise.all(names(1_000).map(publish));
    expect(await count()).toBe(1_000);
    for (const index of [0, 255, 256, 999]) {
      const { sequence, duplicate } = answers[index] ?? { sequence: 0, duplicate: true };
      expect(duplicate).toBe(false);
      expect(await stored(sequence)).toEqual({ body: `body of e${index}`, batch: expect.any(String) });
    }
  });

  it('are stored once and say so when one of them was there before, or comes twice', async () => {
    const { publish, count } = await setUp({ allow_atomic: true });
    await publish('e2');
    const answers = await Promise.all([...names(5), 'e4'].map(publish));
    expect(answers.map(({ duplicate }) => duplicate)).toEqual([false, false, true, false, false, true]);
    expect(await count()).toBe(5);
  });

  it('are stored one by one where the stream offers nothing else', async () => {
    const { publish, stored, count } = await setUp({});
    for (let round = 0; round < 2; round += 1) {
      const answers = await Promise.all(names(20).map((name) => publish(`${round}${name}`)));
      expect(await stored(answers[7]?.sequence ?? 0)).toEqual({ body: `body of ${round}e7`, batch: undefined });
    }
    expect(await count()).toBe(40);
  });

  it('hear each for itself that the stream is full', async () => {
    const { publish, count } = await setUp({ allow_atomic: true, max_msgs: 3, discard: 'new' });
    const answers = await Promise.allSettled(names(5).map(publish));
    expect(answers.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 3 }, () => 'fulfilled'),
      ...Array.from({ length: 2 }, () => 'rejected'),
    ]);
    expect(answers[4]).toMatchObject({ reason: { code: 'StreamFull' } });
    expect(await count()).toBe(3);
  });
});
