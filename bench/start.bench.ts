import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { headers as natsHeaders } from '@nats-io/transport-node';
import { bundle, runtimeFlags } from '../build.ts';
import { Body } from '../runtime/message.ts';
import { encodeMessage, messageId } from '../runtime/nats/envelope.ts';
import { inboxSubject } from '../runtime/nats/names.ts';
import { temporaryFolder } from '../test/cluster/temporary.ts';
import { resolvedFlow } from '../test/flow.ts';
import { bucketSpec, deadLetterSpec, inboxSpec } from '../test/operator/broker/specs.ts';
import { startWorld } from '../test/operator/broker/world.ts';
import { median, residentMib, roundsOf } from './measure.ts';

export const help = `start [ROUNDS]    ROUNDS: 21 unless said otherwise

  From spawn to the first acknowledged message of a bundled worker with a filter, a map and an http sink, on accounts as the operator
  makes them, and its memory when idle. Beside it, in turns, an empty script.`;

const integration = 'start';
const settleMs = 1_500;

const settled = () => new Promise((resolve) => setTimeout(resolve, settleMs));

const emptyScript = async (folder: string) => {
  const [ends, stays] = [join(folder, 'ends.mjs'), join(folder, 'stays.mjs')];
  await writeFile(ends, '');
  await writeFile(stays, 'setInterval(() => {}, 60_000);');
  return {
    async milliseconds() {
      const started = performance.now();
      await once(spawn(process.execPath, [...runtimeFlags, ends]), 'exit');
      return performance.now() - started;
    },
    async mebibytes() {
      const child = spawn(process.execPath, [...runtimeFlags, stays]);
      await settled();
      const used = residentMib(child.pid as number);
      child.kill('SIGKILL');
      return used;
    },
  };
};

const receiver = async (): Promise<{ url: string; close: () => void }> => {
  const server = createServer((request, response) => {
    request.resume().once('end', () => response.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
};

/** Not those that the build has run once: a user's flow is never the one whose compiled code lies beside the bundle. */
const steps = [
  { name: 'worth-it', filter: { when: 'body.total > 10.0' } },
  { name: 'shape', map: { body: { id: '=attrs.id', total: '=body.total * 2' } } },
];

export const run = async (args: string[]): Promise<void> => {
  const rounds = roundsOf(args[0], 21);
  const program = join(await bundle('runtime'), 'runtime.cjs');
  await using world = await startWorld();
  const tenant = await world.tenant('bench');
  for (const spec of [inboxSpec(integration), deadLetterSpec(integration), bucketSpec('state')]) {
    await tenant.broker.ensureStream(spec);
  }
  const sink = await receiver();
  const dir = dirname(await tenant.folder('worker', integration));
  await mkdir(join(dir, 'secrets'));
  await writeFile(join(dir, 'flow.json'), JSON.stringify(resolvedFlow(integration, sink.url, { steps })));
  const admin = await tenant.admin();
  const empty = await emptyScript(await temporaryFolder('bench'));

  const worker = async (round: number): Promise<{ milliseconds: number; mebibytes: number }> => {
    const attrs = { id: `m${round}`, source: '/bench', type: 'order', specversion: '1.0' } as const;
    const { headers, body } = encodeMessage({ attrs, headers: {}, body: Body.fromValue({ total: 20 }) });
    const lines = Object.entries({ ...headers, 'Nats-Msg-Id': messageId('in', attrs) });
    const made = natsHeaders();
    for (const [name, value] of lines) made.set(name, value);
    await admin.request(inboxSubject(integration, 0, 'in'), body, { headers: made, timeout: 5_000 });
    const acked = Promise.withResolvers<number>();
    const watch = admin.subscribe(`$JS.ACK.inbox_${integration}.>`, {
      callback: () => acked.resolve(performance.now()),
    });
    await admin.flush();
    const started = performance.now();
    const child = spawn(process.execPath, [...runtimeFlags, program, 'worker'], {
      env: { KANAVA_DIR: dir, KANAVA_HEALTH_PORT: '0', KANAVA_TENANT: 'bench', KANAVA_INTEGRATION: integration },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const milliseconds = (await acked.promise) - started;
    watch.unsubscribe();
    await settled();
    const mebibytes = residentMib(child.pid as number);
    child.kill('SIGTERM');
    await once(child, 'exit');
    return { milliseconds, mebibytes };
  };

  const starts: number[] = [];
  const sizes: number[] = [];
  const emptyStarts: number[] = [];
  const emptySizes: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const [emptyMs, emptyMib] = [await empty.milliseconds(), await empty.mebibytes()];
    const { milliseconds, mebibytes } = await worker(round);
    // The first round warms the file cache.
    if (round === 0) continue;
    starts.push(milliseconds);
    sizes.push(mebibytes);
    emptyStarts.push(emptyMs);
    emptySizes.push(emptyMib);
    console.log(
      `round ${round}: worker ${milliseconds.toFixed(0)} ms ${mebibytes.toFixed(1)} MiB, empty script ${emptyMs.toFixed(0)} ms ${emptyMib.toFixed(1)} MiB`,
    );
  }
  sink.close();
  const ratios = starts.map((value, index) => value / (emptyStarts[index] as number));
  const differences = sizes.map((value, index) => value - (emptySizes[index] as number));
  console.log(`medians: worker ${median(starts).toFixed(0)} ms, empty script ${median(emptyStarts).toFixed(0)} ms`);
  console.log(`start_vs_empty_node ${median(ratios).toFixed(2)}`);
  console.log(`idle_mib_over_empty_node ${median(differences).toFixed(1)}`);
};
