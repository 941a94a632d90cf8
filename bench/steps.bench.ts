import { setImmediate as turn } from 'node:timers/promises';
import { startMockServer } from '../cli/local/mock-server.ts';
import { catalog } from '../runtime/catalog.ts';
import { createEgress } from '../runtime/egress.ts';
import { openParts } from '../runtime/engine/parts.ts';
import { createStepMemory } from '../runtime/engine/step-memory.ts';
import { runSteps } from '../runtime/engine/steps.ts';
import { type Flow, stepItem } from '../runtime/flow.ts';
import { Body, type Message } from '../runtime/message.ts';
import { createMemoryTransport } from '../runtime/transport/memory.ts';
import { attemptOf } from '../test/runtime/attempt.ts';
import { median, roundsOf } from './measure.ts';
import { order, type StepTrial, stepTrials } from './steps/trials.ts';

export const help = `steps [ROUNDS] [STEP...]    ROUNDS: 15 unless said otherwise; STEP: all when none is named

  Each step from bytes to bytes (read the body, run the step in the engine, write what comes out), beside a function written by hand that
  does the same, in turns. What counts is the CPU time of this thread; where a step works in another one, that of all threads.`;

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const openTrial = async ({ step, flows = {}, asks }: StepTrial) => {
  const server = asks ? await startMockServer() : undefined;
  const answer = { status: 200, headers: { 'content-type': 'application/json' }, body: { name: 'Ada' } };
  const played = server?.play({ crm: { http: { url: 'http://crm' } } }, { crm: [answer] });
  const items = (list: readonly object[], prefix: string) =>
    list.map((item, index) => stepItem.parse({ name: `${prefix}-${index}`, ...item }));
  const flow = {
    tenant: 'bench',
    integration: 'bench',
    steps: items([step], 'step'),
    flows: Object.entries(flows).map(([name, steps]) => ({ name, steps: items(steps, name) })),
    sinks: [],
    connections: played?.connections ?? {},
  };
  const nothing = (): never => {
    throw new Error('a bench has no secrets');
  };
  const parts = await openParts(flow as unknown as Flow, catalog, {
    secret: nothing,
    ca: nothing,
    volume: nothing,
    egress: createEgress({ allow: server ? [{ cidr: '127.0.0.1/32' }] : [], closed: [] }),
    publisher: () => async () => undefined,
    memory: createStepMemory(Promise.resolve(createMemoryTransport({ streams: [] })), 'bench'),
    own: () => ({ source: '/bench/bench/step', room: async () => 900_000, put: async () => true }),
    now: Date.now,
    signal: new AbortController().signal,
    log: silent,
  });
  const attempt = attemptOf({ settled: () => undefined });
  const attrs = { id: '1', source: '/bench', type: 'order', specversion: '1.0' } as const;
  const written = (messages: readonly Message[]): number =>
    messages.reduce((size, message) => size + message.body.bytes().length, 0);
  return {
    run(bytes: Uint8Array): number | Promise<number> {
      const made = runSteps(parts.steps, { attrs, headers: {}, body: Body.fromBytes(bytes) }, attempt);
      return made instanceof Promise ? made.then(written) : written(made);
    },
    async close() {
      await parts.close();
      await server?.close();
    },
  };
};

type Run = (bytes: Uint8Array) => number | Promise<number>;
/** Between two turns of the event loop, as a worker has them, too. */
const messagesOfATurn = 50;
/** The kernel counts in milliseconds: a round has to last. */
const shortestRoundUs = 60_000;

/** CPU microseconds of so many messages. */
type Spend = (run: Run, bytes: Uint8Array, messages: number) => Promise<number>;
const spent: Spend = async (run, bytes, messages) => {
  const before = process.threadCpuUsage();
  for (let count = 1; count <= messages; count += 1) {
    const size = run(bytes);
    if (size instanceof Promise) await size;
    if (count % messagesOfATurn === 0) await turn();
  }
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
};
const spentInThreads: Spend = async (run, bytes, messages) => {
  const before = process.cpuUsage();
  for (let count = 0; count < messages; count += messagesOfATurn)
    await Promise.all(Array.from({ length: messagesOfATurn }, async () => run(bytes)));
  const { user, system } = process.cpuUsage(before);
  return user + system;
};

/** Messages of a round; what is found out is the compiler's round, too. */
const roundOf = async (spend: Spend, run: Run, bytes: Uint8Array): Promise<number> => {
  for (let messages = spend === spent ? 2_000 : 500; ; messages *= 2)
    if ((await spend(run, bytes, messages)) >= shortestRoundUs) return messages;
};

export const run = async ([given, ...only]: string[]): Promise<void> => {
  const rounds = roundsOf(given, 15);
  const bytes = Buffer.from(JSON.stringify(order));
  console.log(`a body of ${bytes.length} bytes; ${rounds} rounds of at least ${shortestRoundUs / 1_000} ms each`);
  const lines: string[] = [];
  for (const trial of stepTrials) {
    const [name = ''] = Object.keys(trial.step);
    if (only.length > 0 && !only.includes(name)) continue;
    const ours = await openTrial(trial);
    const { byHand } = trial;
    const spend = trial.inThread ? spentInThreads : spent;
    if (byHand && byHand(bytes) !== (await ours.run(bytes)))
      throw new Error(`${name}: the function written by hand makes something else`);
    const costs: number[] = [];
    const yardsticks: number[] = [];
    const messages = await roundOf(spend, ours.run, bytes);
    const messagesByHand = byHand ? await roundOf(spent, byHand, bytes) : 0;
    for (let round = 0; round < rounds; round += 1) {
      costs.push((await spend(ours.run, bytes, messages)) / messages);
      if (byHand) yardsticks.push((await spent(byHand, bytes, messagesByHand)) / messagesByHand);
    }
    await ours.close();
    const ratios = costs.map((cost, index) => cost / (yardsticks[index] as number));
    const by = byHand ? `, by hand ${median(yardsticks).toFixed(2)} us, ratio ${median(ratios).toFixed(2)}` : '';
    console.log(`${name}: ${median(costs).toFixed(2)} us a message${by}`);
    if (byHand) lines.push(`${name}_bytes_vs_js ${median(ratios).toFixed(2)}`);
    lines.push(`${name}_cpu_us ${median(costs).toFixed(2)}`);
  }
  for (const line of lines) console.log(line);
};
