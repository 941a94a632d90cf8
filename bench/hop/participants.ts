import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle, runtimeFlags } from '../../build.ts';
import { freePort } from '../../test/cluster/ports.ts';
import { temporaryFolder } from '../../test/cluster/temporary.ts';
import { integration, type RoundOptions, type Source } from './arena.ts';
import { mapBody, type Promised } from './events.ts';

/* Who takes part: programs that know only PORT, N, W, DST and CONS, and the worker of this repository, configured as an operator does. */
export const inFlight = 256;

export interface Start {
  readonly port: number;
  readonly count: number;
  readonly destination: string;
  readonly consumer: string;
}
export interface Running {
  readonly pid: number;
  readonly alive: () => boolean;
  /** Throws when the participant's own account of the round is wrong. */
  stop(count: number): Promise<void>;
}
export interface Participant {
  readonly name: string;
  readonly source: Source;
  readonly promised: Promised;
  readonly consumer: (round: number) => string;
  readonly destination: (round: number) => RoundOptions['destination'];
  readonly start: (start: Start) => Promise<Running>;
}

const root = join(import.meta.dirname, '../..');
const alive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

/** A program that does the hop itself and ends. */
export const program = (name: string, command: readonly [string, ...string[]], promised: Promised): Participant => ({
  name,
  source: 'yardstick',
  promised,
  consumer: (round) => `c${round}`,
  destination: (round) => ({ stream: `D${round}`, subjects: [`out.D${round}`], allowBatch: false }),
  async start({ port, count, destination, consumer }) {
    const child = spawn(command[0], command.slice(1), {
      cwd: root,
      env: {
        ...process.env,
        PORT: String(port),
        N: String(count),
        W: String(inFlight),
        DST: destination,
        CONS: consumer,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return {
      pid: child.pid as number,
      alive: () => alive(child),
      async stop() {
        if (!alive(child)) return;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      },
    };
  },
});

/** The C yardstick, or why there is none. */
export const buildC = async (): Promise<{ program: string } | { missing: string }> => {
  const target = join(await temporaryFolder('hop'), 'hop-c');
  try {
    execFileSync('cc', ['-O2', '-o', target, join(import.meta.dirname, 'hop.c')], { stdio: 'pipe' });
    return { program: target };
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string };
    const why = stderr?.toString().trim() || message;
    return { missing: `${why} (on Debian and Ubuntu: apt-get install gcc libc6-dev)` };
  }
};

export interface FlowOptions {
  readonly steps: readonly object[];
  readonly flows?: readonly object[];
}
const shape = (withTime: boolean) => ({ name: 'shape', map: { body: mapBody(withTime) } });
export const oneStep: FlowOptions = { steps: [shape(false)] };
export const oneStepWithTime: FlowOptions = { steps: [shape(true)] };
export const fiveSteps: FlowOptions = {
  steps: [
    { name: 'some', filter: { when: 'body.total > 10.0' } },
    shape(false),
    {
      name: 'valid',
      validate: {
        schema: {
          type: 'object',
          required: ['id', 'customer', 'items', 'total'],
          properties: { id: { type: 'string' }, total: { type: 'number' }, items: { type: 'array', minItems: 1 } },
        },
      },
    },
    { name: 'mark', set: { body: { checked: true } } },
    { name: 'size', choice: { cases: [{ when: 'body.total > 1000.0', flow: 'large' }] } },
  ],
  flows: [{ name: 'large', steps: [{ name: 'note', set: { body: { large: true } } }] }],
};

export const flowOf = ({ steps, flows = [] }: FlowOptions) => ({
  version: 1,
  tenant: 'bench',
  namespace: 'bench',
  integration,
  uid: 'bench',
  generation: 1,
  sources: [{ name: 'in', http: { path: '/in' } }],
  steps,
  flows,
  sinks: [{ name: 'out', bus: { type: 'order.shaped' } }],
  connections: {},
  delivery: {
    timeout: '30s',
    retry: { attempts: 5, backoff: { initial: '1s', max: '5m' } },
    ordering: 'None',
    partitions: 1,
    // The yardsticks ask for so many ahead and bound nothing else; here it bounds also those that wait for their PubAck or ack.
    concurrency: inFlight,
  },
  egress: { allow: [], closed: [] },
});

/** The bundled worker with its health port and metrics, on its inbox and the bus. */
export const kanava = async (
  name: string,
  flow: FlowOptions,
  { allowBatch, profile }: { readonly allowBatch: boolean; readonly profile: string | undefined },
): Promise<Participant> => {
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const runtime = join(await bundle('runtime'), 'runtime.cjs');
  return {
    name,
    source: 'kanava',
    promised: 'transformed',
    consumer: () => 'worker-0',
    destination: () => ({ stream: 'bus', subjects: ['bus.*'], allowBatch }),
    async start({ port }) {
      const folder = await temporaryFolder('hop');
      await mkdir(join(folder, 'nats'));
      await writeFile(join(folder, 'nats/url'), `nats://127.0.0.1:${port}`);
      await writeFile(join(folder, 'flow.json'), JSON.stringify(flowOf(flow)));
      const health = await freePort();
      const child = spawn(process.execPath, [...runtimeFlags, ...profiling, runtime, 'worker'], {
        env: {
          KANAVA_DIR: folder,
          KANAVA_HEALTH_PORT: String(health),
          KANAVA_TENANT: 'bench',
          KANAVA_INTEGRATION: integration,
          KANAVA_LOG_LEVEL: 'warn',
        },
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      return {
        pid: child.pid as number,
        alive: () => alive(child),
        async stop(count) {
          const metrics = await (await fetch(`http://127.0.0.1:${health}/metrics`)).text();
          const ended = once(child, 'exit');
          child.kill('SIGTERM');
          await ended;
          const acked = Number(/^kanava_acked_total(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1]);
          if (acked !== count) throw new Error(`${name}: its metrics say ${acked} messages of ${count}`);
        },
      };
    },
  };
};
