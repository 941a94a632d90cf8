import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../cluster/ports.ts';
import { program } from '../../programs.ts';
import { startTenant, type TestTenant, until } from './tenant.ts';

/* A 202 is a promise: whatever is killed under load, every message that got one is in the inbox. */
let world: TestTenant;
beforeAll(async () => {
  world = await startTenant();
});
afterAll(() => world[Symbol.asyncDispose]());

const root = join(import.meta.dirname, '../../..');
const senders = 16;

interface Process {
  readonly child: ChildProcess;
  kill(signal: NodeJS.Signals): Promise<unknown>;
}
const start = async (args: string[], port: number, path: string, env: NodeJS.ProcessEnv = {}): Promise<Process> => {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await until('the gateway serves', () =>
    fetch(`http://127.0.0.1:${port}${path}`, { method: 'GET' }).then(
      ({ status }) => status === 405 || undefined,
      () => undefined,
    ),
  );
  return {
    child,
    kill: async (signal) => {
      const exited = once(child, 'exit');
      child.kill(signal);
      return exited;
    },
  };
};

interface Count {
  accepted(): number;
  failed(): number;
}
/** Sends from many senders until `disturb` has ended; the ids that were promised, and how many got no answer. */
const underLoad = async (
  url: string,
  disturb: (count: Count) => Promise<void>,
): Promise<{ accepted: string[]; failed: number }> => {
  const accepted: string[] = [];
  const enough = new AbortController();
  let [failed, next] = [0, 0];
  const send = async (id: string) => {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify({ id }), headers: { 'x-id': id } });
    const { id: told } = (await response.json()) as { id: string };
    if (response.status === 202) accepted.push(told);
    else failed += 1;
  };
  const load = Promise.all(
    Array.from({ length: senders }, async () => {
      while (!enough.signal.aborted) {
        next += 1;
        await send(`m${next}`).catch(() => {
          failed += 1;
        });
      }
    }),
  );
  await disturb({ accepted: () => accepted.length, failed: () => failed });
  enough.abort();
  await load;
  return { accepted, failed };
};
const missing = async (integration: string, accepted: readonly string[]): Promise<string[]> => {
  const stored = new Set((await world.stored(integration)).map(({ attrs }) => attrs.id));
  return accepted.filter((id) => !stored.has(id));
};
const more = (count: Count) => {
  const wanted = count.accepted() + 200;
  return until('200 more accepted', () => count.accepted() >= wanted || undefined);
};
const prepare = async (integration: string): Promise<{ port: number; path: string; url: string }> => {
  await world.inbox(integration);
  await world.tenant.broker.putRoutes({
    version: 1,
    tenant: 'acme',
    namespace: 'acme',
    integration,
    uid: integration,
    generation: 1,
    suspended: false,
    partitions: 1,
    sources: [{ name: 'in', http: { path: '/a', idHeader: 'x-id' } }],
  });
  const port = await freePort();
  return { port, path: `/${integration}/a`, url: `http://127.0.0.1:${port}/${integration}/a` };
};
const startReal = async (port: number, path: string) =>
  start([program('runtime/main.ts'), 'gateway'], port, path, {
    KANAVA_DIR: world.folder,
    KANAVA_TENANT: 'acme',
    KANAVA_PORT: String(port),
    KANAVA_HEALTH_PORT: String(await freePort()),
    KANAVA_LOG_LEVEL: 'silent',
  });

test('SIGKILL of the gateway, three times', async () => {
  const { port, path, url } = await prepare('killed');
  let gateway = await startReal(port, path);
  const { accepted, failed } = await underLoad(url, async (count) => {
    for (let round = 0; round < 3; round += 1) {
      await more(count);
      await gateway.kill('SIGKILL');
      gateway = await startReal(port, path);
    }
  });
  expect(await gateway.kill('SIGTERM')).toEqual([0, null]);
  expect(await missing('killed', accepted)).toEqual([]);
  expect(accepted.length).toBeGreaterThanOrEqual(600);
  expect(failed).toBeGreaterThan(0);
});

test('control: a gateway that answers first loses what it promised', async () => {
  const { port, path, url } = await prepare('control');
  const gateway = await start([join(import.meta.dirname, 'answers-first.ts'), world.folder, String(port)], port, path);
  const { accepted } = await underLoad(url, async (count) => {
    await more(count);
    await gateway.kill('SIGKILL');
  });
  expect((await missing('control', accepted)).length).toBeGreaterThan(0);
});

test('SIGTERM of the gateway: it ends with 0, and nobody is left without an answer to a message that is stored', async () => {
  const { port, path, url } = await prepare('ended');
  const gateway = await startReal(port, path);
  const { accepted } = await underLoad(url, async (count) => {
    await more(count);
    expect(await gateway.kill('SIGTERM')).toEqual([0, null]);
  });
  expect(await missing('ended', accepted)).toEqual([]);
  expect(await world.stored('ended')).toHaveLength(accepted.length);
});

test('SIGKILL of NATS', async () => {
  const { port, path, url } = await prepare('broker');
  const gateway = await startReal(port, path);
  const { accepted, failed } = await underLoad(url, async (count) => {
    await more(count);
    await world.world.kill();
    const before = count.failed();
    await until('senders see it', () => count.failed() > before || undefined);
    await world.world.start();
    await more(count);
  });
  await gateway.kill('SIGTERM');
  expect(await missing('broker', accepted)).toEqual([]);
  expect(failed).toBeGreaterThan(0);
});
