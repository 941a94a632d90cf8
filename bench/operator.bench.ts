import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { bundle, operatorEnv, operatorFlags } from '../build.ts';
import { mustKubectl } from '../test/cluster/kubectl.ts';
import { temporaryFolder } from '../test/cluster/temporary.ts';
import { startOwnServer } from '../test/operator/api/shared-server.ts';
import { startWorld } from '../test/operator/broker/world.ts';
import {
  type OperatorWorld,
  operatorNamespace,
  startOperatorWorld,
} from '../test/operator/reconcile/operator-world.ts';
import {
  type Counts,
  growth,
  managedOnly,
  reconcilesOf,
  sentBy,
  servedBy,
  total,
} from '../test/operator/reconcile/request-counts.ts';
import { UsageError } from './measure.ts';
import type { BareResult, BareTask } from './operator/bare.ts';
import type { LagResult, LagTask } from './operator/lag.ts';
import { countConnections, cpuSeconds, ended, residentMebibytes } from './operator/process-figures.ts';
import { rehearse } from './operator/rehearsal.ts';
import { openScene, type Scene, type Sizes } from './operator/scene.ts';
import { makeStreams } from './operator/streams.ts';

export const help = `operator [--integrations 1000] [--per-tenant 10] [--rounds 1] [--large 5000] [--only PART] [--profile FOLDER]

  The bundled operator as a process of its own puts Integrations in place from nothing, against a real API server and a real NATS; beside
  it, in turns, a bare client that only does the same writes. Each run has fresh servers. No pods run.
  --only     converge: the operator and the bare client, at --integrations (some 4 minutes for 1000 on two cores)
             large: the operator at --integrations and at --large (20 minutes and more for 5000)
             lag: what it costs to know what waits in the streams of --large Integrations (some 8 minutes for 5000); without it, all three
  --large    so many Integrations for growth and lag; 0 leaves them out
  --profile  CPU profiles of the operator, for Chrome's developer tools; they cost time themselves`;

const options = {
  integrations: { type: 'string', default: '1000' },
  'per-tenant': { type: 'string', default: '10' },
  rounds: { type: 'string', default: '1' },
  large: { type: 'string', default: '5000' },
  only: { type: 'string' },
  profile: { type: 'string' },
} as const;

/** Reconciles of Integrations that the operator has at once. */
const concurrency = 16;
const poolSize = 8;
/** Longer than the meter leaves between two looks at consumers. */
const silentMs = 12_000;
const lagSeconds = 60;
const parts = ['converge', 'large', 'lag'] as const;
const jetstream = 'max_file_store: 100TB\n sync_interval: always';

const say = (text: string) => console.error(`${new Date().toISOString().slice(11, 19)}  ${text}`);
const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

const table = (counts: Counts, integrations: number): string =>
  [...counts]
    .filter(([, count]) => count > integrations / 20)
    .map(([what, count]) => `${what} ${(count / integrations).toFixed(2)}`)
    .join(', ');

const withWorld = async <Result>(
  profile: string | undefined,
  work: (world: OperatorWorld, scene: Scene) => Promise<Result>,
): Promise<Result> => {
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  // Profiles of the source have names in them.
  const source = join(import.meta.dirname, '..', 'operator', 'main.ts');
  const code = profile === undefined ? join(await bundle('operator'), 'operator.mjs') : source;
  const program = [...operatorFlags, ...profiling, code];
  const world = await startOperatorWorld({ program, logLevel: 'warn', jetstream, startServer: startOwnServer });
  const scene = await openScene(world);
  try {
    return await work(world, scene);
  } finally {
    await scene.close();
    await world.stop();
  }
};

interface OperatorRun {
  readonly wall: number;
  readonly cpu: number;
  readonly calls: number;
  readonly resyncCalls: number;
  readonly connections: number;
  readonly emptyMebibytes: number;
  readonly mebibytes: number;
}
const operatorRun = (sizes: Sizes, profile: string | undefined): Promise<OperatorRun> =>
  withWorld(profile, async (world, scene) => {
    await scene.makeTenants(sizes.tenants, sizes.integrations / sizes.tenants);
    const first = await world.startOperator();
    await scene.tenantsReady(sizes.tenants);
    await silence(world);
    const emptyMebibytes = residentMebibytes(first.pid);
    await first.stop();
    await scene.makeIntegrations(sizes);

    const before = await servedBy(world.api);
    const started = performance.now();
    const operator = await world.startOperator();
    const connections = countConnections(operator.pid, world.api.port);
    await Promise.race([scene.converged(sizes.integrations), ended(operator.pid, operator.logFile)]);
    const wall = (performance.now() - started) / 1000;
    const cpu = cpuSeconds(operator.pid);
    const calls = await sentBy(operator);
    say(`  requests per Integration: ${table(growth(before, await servedBy(world.api)), sizes.integrations)}`);
    say(`  reconciles: ${JSON.stringify([...(await reconcilesOf(operator))])}`);
    connections.stop();
    await silence(world);
    const mebibytes = residentMebibytes(operator.pid);
    await operator.stop();
    const resyncCalls = await resync(world, sizes);
    return { wall, cpu, calls: total(calls), resyncCalls, connections: connections.seen(), emptyMebibytes, mebibytes };
  });

/** What waits is known once the meter has looked at a consumer; the scaler takes up its Deployment then, and the status says so. */
const silence = async (world: OperatorWorld): Promise<void> => {
  for (let before = await servedBy(world.api); ; ) {
    await sleep(silentMs);
    const after = await servedBy(world.api);
    if (managedOnly(growth(before, after)).size === 0) return;
    before = after;
  }
};

/** A new operator that finds everything as it should be, and looks at every key again some times. */
const resync = async (world: OperatorWorld, { integrations }: Sizes): Promise<number> => {
  const before = await servedBy(world.api);
  const operator = await world.startOperator();
  await sleep(25_000);
  const found = managedOnly(growth(before, await servedBy(world.api)));
  // What went wrong says why there was anything to do.
  if (found.size > 0) say(`  requests of a resync: ${JSON.stringify([...found])}\n${lastLines(operator.logFile)}`);
  await operator.stop();
  return total(found) / integrations;
};

/** So many Integrations at once: what it costs to put them in place. */
const largeRun = (sizes: Sizes): Promise<{ cpu: number; wall: number }> =>
  withWorld(undefined, async (world, scene) => {
    await scene.makeTenants(sizes.tenants, sizes.integrations / sizes.tenants);
    const first = await world.startOperator();
    await scene.tenantsReady(sizes.tenants);
    await first.stop();
    await scene.makeIntegrations(sizes);
    say(`  ${sizes.tenants} tenants and ${sizes.integrations} Integrations are made`);
    const started = performance.now();
    const operator = await world.startOperator();
    await Promise.race([scene.converged(sizes.integrations), ended(operator.pid, operator.logFile)]);
    const [cpu, wall] = [cpuSeconds(operator.pid), (performance.now() - started) / 1000];
    say(`  reconciles: ${JSON.stringify([...(await reconcilesOf(operator))])}`);
    await operator.stop();
    return { cpu, wall };
  });

const lagRun = async (sizes: Sizes): Promise<LagResult> => {
  await using world = await startWorld({ jetstream: 'max_file_store: 100TB' });
  const integrations = await makeStreams(world, sizes);
  say(`  the streams of ${sizes.integrations} Integrations are made`);
  const task: LagTask = { natsUrl: world.url, natsFolder: world.natsFolder, integrations, seconds: lagSeconds };
  return await child<LagResult>('lag', task);
};

/** Runs one of the programs beside this one, bundled as the operator is, with its task in a file; its output is the result. */
const child = async <Result>(name: 'bare' | 'lag', task: unknown): Promise<Result> => {
  const folder = await temporaryFolder(name);
  const [file, program] = [join(folder, 'task.json'), await benchProgram(name, folder)];
  await writeFile(file, JSON.stringify(task));
  const started = spawn(process.execPath, [...operatorFlags, program, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...operatorEnv },
  });
  let text = '';
  started.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code] = (await once(started, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${name} ended with ${code}`);
  return JSON.parse(text) as Result;
};

const benchProgram = async (name: string, folder: string): Promise<string> => {
  const outfile = join(folder, `${name}.mjs`);
  const js = "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);";
  await build({
    entryPoints: [join(import.meta.dirname, 'operator', `${name}.ts`)],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    banner: { js },
    logLevel: 'warning',
  });
  return outfile;
};
const lastLines = (file: string): string => readFileSync(file, 'utf8').trim().split('\n').slice(-5).join('\n');

const bareRun = (sizes: Sizes): Promise<BareResult> =>
  withWorld(undefined, async (world, scene) => {
    await scene.makeTenants(sizes.tenants, sizes.integrations / sizes.tenants);
    const { yardstick, credentials } = await rehearse(world, scene, sizes.tenants);
    await scene.makeIntegrations(sizes);
    const task: BareTask = {
      server: world.api.url,
      ca: world.api.ca,
      token: (
        await mustKubectl(world.api.kubectl, ['create', 'token', 'kanava-operator', '-n', operatorNamespace])
      ).trim(),
      natsUrl: world.nats.url,
      connections: poolSize,
      concurrency,
      yardstick,
      tenants: credentials,
      integrations: scene
        .integrations()
        .filter(({ metadata }) => metadata.name !== 'sample-0000')
        .map(({ metadata: { namespace: tenant = '', name: integration, uid = '' } }) => ({ tenant, integration, uid })),
    };
    const before = await servedBy(world.api);
    const result = await child<BareResult>('bare', task);
    say(`  requests per Integration: ${table(growth(before, await servedBy(world.api)), sizes.integrations)}`);
    return result;
  });

export const run = async (args: string[]): Promise<void> => {
  const { values } = parseArgs({ args, options });
  const perTenant = Number(values['per-tenant']);
  const sizesFor = (integrations: number): Sizes => ({ integrations, tenants: Math.ceil(integrations / perTenant) });
  const sizes = sizesFor(Number(values.integrations));
  const largeSizes = sizesFor(Number(values.large));
  if (values.only !== undefined && !parts.some((part) => part === values.only))
    throw new UsageError(`--only is one of ${parts.join(', ')}`);
  const isWanted = (part: (typeof parts)[number]) =>
    values.only === undefined ? part === 'converge' || largeSizes.integrations > 0 : values.only === part;
  const runs: OperatorRun[] = [];
  const bares: BareResult[] = [];
  const result = (name: string, value: number) => console.log(`${name} ${value.toFixed(3)}`);
  for (let round = 1; round <= (isWanted('converge') ? Number(values.rounds) : 0); round += 1) {
    say(`round ${round}: the operator`);
    const ours = await operatorRun(sizes, values.profile);
    runs.push(ours);
    say(`  ${JSON.stringify(ours)}`);
    say(`round ${round}: the bare client`);
    const bare = await bareRun(sizes);
    bares.push(bare);
    say(`  ${JSON.stringify(bare)}`);
  }
  if (isWanted('converge')) {
    const ratio = (of: (ours: OperatorRun, bare: BareResult) => number) =>
      median(runs.map((ours, round) => of(ours, bares[round] as BareResult)));
    result(
      'converge_wall_vs_bare',
      ratio((ours, bare) => ours.wall / bare.wallSeconds),
    );
    result(
      'converge_cpu_vs_bare',
      ratio((ours, bare) => ours.cpu / bare.cpuSeconds),
    );
    result('api_calls_first', median(runs.map(({ calls }) => calls / sizes.integrations)));
    result('api_calls_resync', median(runs.map(({ resyncCalls }) => resyncCalls)));
    result('connections_vs_concurrency', median(runs.map(({ connections }) => connections / concurrency)));
    result('rss_1000_vs_0', median(runs.map(({ mebibytes, emptyMebibytes }) => mebibytes / emptyMebibytes)));
  }
  if (isWanted('large')) {
    const small = runs[0] ?? (await largeRun(sizes));
    say(`${sizes.integrations} Integrations: ${small.cpu.toFixed(1)} s of CPU time; now ${largeSizes.integrations}`);
    const large = await largeRun(largeSizes);
    say(`  ${JSON.stringify(large)}`);
    result('cpu_5000_vs_1000', large.cpu / small.cpu);
  }
  if (isWanted('lag')) {
    say(`what waits in the streams of ${largeSizes.integrations} Integrations`);
    const lag = await lagRun(largeSizes);
    say(`  ${JSON.stringify(lag)}`);
    result('lag_core_share', lag.coreShare);
    result('lag_looks_per_s', lag.looks / lagSeconds);
  }
};
