import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { deadLetterStream, inboxStream } from '../../../runtime/nats/names.ts';
import { eventually, flowTo, integration } from '../engine/workshop.ts';
import { type LargeWorld, mebibyte, memoryOf, startLargeWorld } from './large-world.ts';

/* 100 MB go through a gateway and a worker that hold a small part of them. */
const bytes = 100 * mebibyte;
const lineBytes = 20_000;
const lines = Math.floor(bytes / lineBytes);
/** V8 lets so much of buffers gather that nobody needs any more, however much goes through. */
const mostGrowth = 110 * mebibyte;
/** And so many of messages, a million of which come and go. */
const youngObjects = 70 * mebibyte;
const inbox = inboxStream(integration);
const deadLetters = deadLetterStream(integration);
const delivery = { ...flowTo('').delivery, timeout: '10m' };
const lineOf = (number: number) => `{"no":${number},"fill":"${'x'.repeat(lineBytes - 40)}"}`.padEnd(lineBytes - 1, ' ');

/** Made while it is sent. */
const allLines = () => {
  let number = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (number === lines) return controller.close();
      controller.enqueue(Buffer.from(`${lineOf(number)}\n`));
      number += 1;
    },
  });
};
const digestOf = async (pieces: AsyncIterable<unknown>): Promise<string> => {
  const digest = createHash('sha256');
  for await (const piece of pieces) digest.update(piece as Buffer);
  return digest.digest('hex');
};
const wanted = () => digestOf(allLines());

/** Takes requests without keeping them. */
const startSink = async () => {
  const seen = new Map<string, number>();
  const whole: string[] = [];
  let stop: (() => void) | undefined;
  const server = createServer((request, response) => {
    const id = String(request.headers['ce-id']);
    void digestOf(request).then(
      (digest) => {
        seen.set(id, (seen.get(id) ?? 0) + 1);
        whole.push(digest);
        if (seen.size === 1_000) stop?.();
        response.end();
      },
      () => response.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    whole,
    whenThousand: (act: () => void) => {
      stop = act;
    },
  };
};

/** The most that a process grows by until the test says so. */
const watchMemory = async (pids: Readonly<Record<string, number | undefined>>) => {
  const before = await Promise.all(Object.values(pids).map(memoryOf));
  const growth: Record<string, number> = Object.fromEntries(Object.keys(pids).map((name) => [name, 0]));
  const timer = setInterval(() => {
    for (const [index, [name, pid]] of Object.entries(pids).entries())
      void memoryOf(pid).then(
        (now) => {
          growth[name] = Math.max(growth[name] ?? 0, now - (before[index] ?? 0));
        },
        () => undefined,
      );
  }, 50);
  onTestFinished(() => clearInterval(timer));
  return growth;
};

const post = async (world: LargeWorld) => {
  const answer = await world.post(allLines(), { 'content-type': 'application/x-ndjson', 'idempotency-key': 'm' });
  expect(answer.status, await answer.text()).toBe(202);
};

it('lines of 100 MB reach the sink once each, though the worker is killed on the way', {
  timeout: 600_000,
}, async () => {
  const sink = await startSink();
  const world = await startLargeWorld();
  const gateway = await world.startGateway();
  const flow = flowTo(sink.url, { steps: [{ name: 'lines', split: { lines: {} } }], delivery });
  const first = await world.startWorker(flow);
  sink.whenThousand(() => first.process.kill('SIGKILL'));
  const growth = await watchMemory({ gateway: gateway.pid });
  await post(world);
  await first.ended;
  const second = await world.startWorker(flow);
  const later = await watchMemory({ worker: second.process.pid });
  await expect.poll(() => sink.seen.size, { timeout: 300_000 }).toBe(lines);
  await eventually(() => world.messages(inbox)).toBe(0);
  expect([...sink.seen.keys()].every((id) => /^m\/\d+$/.test(id))).toBe(true);
  expect(
    [...sink.seen.values()].filter((count) => count > 1).length,
    'those before the kill come again',
  ).toBeGreaterThan(0);
  expect(growth['gateway']).toBeLessThan(mostGrowth);
  expect(later['worker']).toBeLessThan(mostGrowth);
  expect(await world.messages(deadLetters)).toBe(0);
  await eventually(() => world.bodyBytes()).toBe(0);
});

it('a million lines are worked on in one body, of which some reach the sink', { timeout: 600_000 }, async () => {
  const sink = await startSink();
  const world = await startLargeWorld();
  await world.startGateway();
  const wanted = { name: 'some', filter: { when: 'body.no % 1000 == 0' } };
  // No more than this for each portion: not for all of them.
  const short = { ...delivery, timeout: '10s' };
  const steps = [{ name: 'lines', split: { lines: { contentType: 'application/json' } } }, wanted];
  const worker = await world.startWorker(flowTo(sink.url, { steps, delivery: short }));
  const growth = await watchMemory({ worker: worker.process.pid });
  const million = 1_000_000;
  let number = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (number === million) return controller.close();
      const some = Array.from({ length: 1_000 }, (_, index) => `{"no":${number + index},"fill":"${'x'.repeat(70)}"}\n`);
      number += some.length;
      controller.enqueue(Buffer.from(some.join('')));
    },
  });
  const answer = await world.post(body, { 'idempotency-key': 'm' });
  expect(answer.status, await answer.text()).toBe(202);
  await expect.poll(() => sink.seen.size, { timeout: 300_000 }).toBe(million / 1_000);
  await eventually(() => world.messages(inbox)).toBe(0);
  expect([...sink.seen]).toEqual(Array.from({ length: million / 1_000 }, (_, index) => [`m/${index * 1_000}`, 1]));
  expect(growth['worker']).toBeLessThan(mostGrowth + youngObjects);
  expect(await world.messages(deadLetters)).toBe(0);
  await eventually(() => world.bodyBytes()).toBe(0);
});

it('100 MB are passed on as they are, to a server and to a file', { timeout: 600_000 }, async () => {
  const sink = await startSink();
  const world = await startLargeWorld();
  const gateway = await world.startGateway();
  await mkdir(join(world.volumes, 'files'));
  const plain = flowTo(sink.url, { delivery });
  const worker = await world.startWorker({
    ...plain,
    steps: [{ name: 'only', filter: { when: "attrs.type != 'other'" } }],
    sinks: [
      ...plain.sinks,
      { name: 'kept', file: { connectionRef: { name: 'disk' }, name: "= attrs.id + '.ndjson'" } },
    ],
    connections: { ...plain.connections, disk: { file: { claim: 'files' } } },
  });
  const growth = await watchMemory({ gateway: gateway.pid, worker: worker.process.pid });
  await post(world);
  await expect.poll(() => sink.whole.length, { timeout: 300_000 }).toBe(1);
  await eventually(() => world.messages(inbox)).toBe(0);
  const digest = await wanted();
  expect(sink.whole).toEqual([digest]);
  const files = join(world.volumes, 'files');
  expect((await readdir(files)).filter((name) => !name.startsWith('.'))).toEqual(['m.ndjson']);
  expect(await digestOf(createReadStream(join(files, 'm.ndjson')))).toBe(digest);
  expect(growth['gateway']).toBeLessThan(mostGrowth);
  expect(growth['worker']).toBeLessThan(mostGrowth);
  await eventually(() => world.bodyBytes()).toBe(0);
});
