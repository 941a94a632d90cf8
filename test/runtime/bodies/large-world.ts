import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { planBuckets } from '../../../operator/plan/buckets.ts';
import { bodyStream } from '../../../runtime/nats/names.ts';
import { freePort } from '../../cluster/ports.ts';
import { bodySpec } from '../../operator/broker/specs.ts';
import { program } from '../../programs.ts';
import { eventually, integration, startWorkshop, type Workshop } from '../engine/workshop.ts';
import { entryOf } from '../gateway/tenant.ts';

/* A workshop with the real gateway in front, for an Integration that takes large bodies: nothing comes again only because it takes its time. */
export const mebibyte = 1024 ** 2;
export interface LargeWorld extends Workshop {
  startGateway(): Promise<ChildProcess>;
  url(): string;
  /** As the gateway has it mounted. */
  secret(name: string, key: string, value: string): Promise<void>;
  post(body: Uint8Array | ReadableStream<Uint8Array>, headers?: Record<string, string>): Promise<Response>;
  /** Messages in the stream of bodies that are more than marks of what was removed. */
  bodyBytes(): Promise<number>;
}

export const startLargeWorld = async ({
  room = 256 * mebibyte,
  auth = {},
  largest = 128 * mebibyte,
} = {}): Promise<LargeWorld> => {
  const workshop = await startWorkshop({ ackWaitMs: 30_000 });
  const { tenant, manager } = workshop;
  for (const bucket of planBuckets({ uid: 'tenant-uid', replicas: 1 })) await tenant.broker.ensureStream(bucket);
  await tenant.broker.ensureStream(bodySpec(integration, { maxBytes: room }));
  const sources = [{ name: 'in', http: { path: '/in', maxBytes: '1Gi', ...auth } }];
  await tenant.broker.putRoutes(entryOf(integration, sources, { largeBodies: { largest } }));
  const base = dirname(await tenant.folder('gateway'));
  await mkdir(join(base, 'secrets'), { recursive: true });
  let port = 0;
  const url = () => `http://127.0.0.1:${port}/${integration}/in`;
  return {
    ...workshop,
    url,
    secret: (name, key, value) => writeFile(join(base, 'secrets', `${name}..${key}`), value),
    async startGateway() {
      port = await freePort();
      const child = spawn(process.execPath, [program('runtime/main.ts'), 'gateway'], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {
          ...process.env,
          KANAVA_DIR: base,
          KANAVA_TENANT: 'acme',
          KANAVA_PORT: String(port),
          KANAVA_HEALTH_PORT: String(await freePort()),
          KANAVA_RELAY_PORT: '0',
          KANAVA_LOG_LEVEL: 'error',
        },
      });
      onTestFinished(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      });
      await eventually(() =>
        fetch(url()).then(
          ({ status }) => status,
          () => 0,
        ),
      ).toBe(405);
      return child;
    },
    post: (body, headers = {}) =>
      fetch(url(), {
        method: 'POST',
        body: body as never,
        headers,
        ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
      }),
    async bodyBytes() {
      const { state } = await manager.streams.info(bodyStream(integration));
      return state.bytes < 256 * 1024 ? 0 : state.bytes;
    },
  };
};

/** Memory that is a process's own and not its files', in bytes. */
export const memoryOf = async (pid: number | undefined): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
};
