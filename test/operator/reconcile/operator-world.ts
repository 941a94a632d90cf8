import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import { operatorEnv } from '../../../build.ts';
import type { Condition } from '../../../operator/api/fields.ts';
import { statusConditions } from '../../../operator/plan/conditions.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';
import { ensureBinary } from '../../cluster/binaries.ts';
import { run } from '../../cluster/command.ts';
import { startControllers } from '../../cluster/controllers.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { freePort } from '../../cluster/ports.ts';
import { temporaryFolder } from '../../cluster/temporary.ts';
import { program as operatorProgram } from '../../programs.ts';
import { borrowServer } from '../api/shared-server.ts';
import { startWorld, type World } from '../broker/world.ts';
import { type LiveObjects, liveObjects } from '../kube/live-objects.ts';
import { dishonest } from './status-honesty.ts';
import { keepStatuses, recordStatuses } from './status-recorder.ts';

/*
 * The operator as a process, with the chart's own ServiceAccount, roles and admission policies, against a real API server and a real
 * nats-server. There are no nodes and no controllers: `rollOut` says what a Deployment controller and a kubelet would.
 * Whatever a test is about, at its end every status that was written is judged (status-honesty.ts).
 */
const repository = join(import.meta.dirname, '..', '..', '..');
export const operatorNamespace = 'kanava-system';

export interface OperatorProcess {
  readonly pid: number;
  /** `/healthz`, `/readyz` and `/metrics` are on it. */
  readonly healthPort: number;
  readonly logFile: string;
  /** What a scrape would get. */
  metrics(): Promise<string>;
  readonly exited: Promise<number | null>;
  /** SIGTERM, or another signal; resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}
export interface OperatorWorld {
  readonly api: KubeApi;
  readonly nats: World;
  startOperator(config?: Record<string, unknown>): Promise<OperatorProcess>;
  /** Starts one and, as a kubelet would, another whenever it ends: on a busy machine it loses its lease. */
  keepOperator(): Promise<void>;
  kubectl(args: string[], input?: unknown): Promise<string>;
  apply(...objects: unknown[]): Promise<void>;
  get(kind: string, name: string, namespace?: string): Promise<KubeObject | undefined>;
  list(kind: string, namespace: string): Promise<KubeObject[]>;
  condition(kind: string, name: string, type: string, namespace?: string): Promise<Condition | undefined>;
  /** Waits until each condition has that status or that reason. */
  becomes(kind: string, name: string, expected: Readonly<Record<string, string>>, namespace?: string): Promise<void>;
  /** All pods of a Deployment are ready, of its newest template. */
  rollOut(name: string, namespace: string): Promise<void>;
  /** Everything that the processes logged. */
  logs(): string;
  /** Throws when a status that was written told GitOps tools what was not true. */
  stop(): Promise<void>;
}

/** What the operator makes in a tenant's namespace. */
export const childKinds = [
  'deployments',
  'configmaps',
  'secrets',
  'services',
  'serviceaccounts',
  'networkpolicies',
  'rolebindings',
  'resourcequotas',
  'limitranges',
] as const;

export const until = async <T>(what: string, look: () => Promise<T | undefined | false>, ms = 90_000): Promise<T> => {
  const end = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > end) throw new Error(`after ${ms} ms still not: ${what}`);
    await sleep(150);
  }
};

const lastLines = (file: string | undefined): string =>
  file === undefined ? '' : readFileSync(file, 'utf8').trim().split('\n').slice(-10).join('\n');

const renderChart = async (): Promise<unknown[]> => {
  const helm = await ensureBinary('helm');
  const parts = ['rbac/operator', 'rbac/tenant', 'rbac/members', 'operator/service-account'];
  const policies = ['bindings', 'namespaces', 'pods', 'users-own-spec', 'schema-revision'].map(
    (name) => `admission/${name}`,
  );
  const shown = [...parts, ...policies].flatMap((name) => ['-s', `templates/${name}.yaml`]);
  const source = join(repository, 'charts', 'kanava');
  const rendered = await run(helm, [
    'template',
    'kanava',
    source,
    '-n',
    operatorNamespace,
    '--kube-version',
    '1.36.0',
    ...shown,
  ]);
  if (rendered.code !== 0) throw new Error(`helm template failed: ${rendered.stderr}`);
  return loadAll(rendered.stdout).filter(Boolean);
};
/** The same for every file of a process. */
let chart: Promise<unknown[]> | undefined;

const installChart = async ({ apply }: Pick<LiveObjects, 'apply'>): Promise<void> => {
  chart ??= renderChart();
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: operatorNamespace } });
  for (const object of await chart) await apply(object);
};

/** What a pod finds at /var/run/secrets/kubernetes.io/serviceaccount. */
const podFolder = async (api: KubeApi, objects: Pick<LiveObjects, 'tokenOf'>, dir: string): Promise<string> => {
  const folder = join(dir, 'service-account');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'token'), await objects.tokenOf('kanava-operator', operatorNamespace));
  await writeFile(join(folder, 'ca.crt'), api.ca);
  return folder;
};

interface Launch {
  readonly dir: string;
  readonly program: readonly string[];
  readonly healthPort: number;
  readonly env: Readonly<Record<string, string>>;
}
/** No more than this: the operator is told everything else. */
const inherited = () =>
  Object.fromEntries(
    ['PATH', 'NODE_COMPILE_CACHE'].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
  );
const launch = async ({ dir, program, healthPort, env }: Launch): Promise<OperatorProcess> => {
  const logFile = join(dir, `operator-${env['KANAVA_POD_NAME']}.log`);
  const log = createWriteStream(logFile, { flags: 'a' });
  // It is read as soon as the process is there.
  await once(log, 'open');
  const child: ChildProcess = spawn(process.execPath, program, {
    env: { ...operatorEnv, ...inherited(), KANAVA_HEALTH_PORT: String(healthPort), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout?.pipe(log);
  child.stderr?.pipe(log);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const killNow = () => child.kill('SIGKILL');
  process.once('exit', killNow);
  return {
    pid: child.pid ?? 0,
    healthPort,
    logFile,
    exited,
    metrics: async () => (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text(),
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const code = await exited;
      process.off('exit', killNow);
      return code;
    },
  };
};

export interface OperatorWorldOptions {
  /** Arguments of node; default: the operator as it is here. */
  readonly program?: readonly string[];
  readonly logLevel?: string;
  /** Inside the `jetstream` block of nats.conf. */
  readonly jetstream?: string;
  /** Those of Kubernetes run, too, so that owner references, foreground deletion and namespaces do what they do. */
  readonly controllers?: boolean;
  /** With the CRDs. Default: one that files share. */
  readonly startServer?: () => Promise<KubeApi>;
}

export const startOperatorWorld = async ({
  program = [operatorProgram('operator/main.ts')],
  logLevel = 'debug',
  jetstream = 'sync_interval: always',
  controllers = false,
  startServer = () => borrowServer(),
}: OperatorWorldOptions = {}): Promise<OperatorWorld> => {
  const dir = await temporaryFolder('operator');
  const [api, nats] = await Promise.all([startServer(), startWorld({ jetstream })]);
  const manager = controllers ? await startControllers(api) : undefined;
  const recorder = recordStatuses(api);
  const { get, list, apply, ...objects } = await liveObjects(api);
  await installChart({ apply });
  const tokenFolder = await podFolder(api, objects, dir);
  const processes: OperatorProcess[] = [];

  const kubectl = (args: string[], input?: unknown) =>
    mustKubectl(api.kubectl, args, input === undefined ? {} : { stdin: JSON.stringify(input) });

  const conditionsOf = async (kind: string, name: string, namespace?: string): Promise<readonly Condition[]> =>
    statusConditions((await get(kind, name, namespace))?.['status']);
  const becomes: OperatorWorld['becomes'] = async (kind, name, expected, namespace) => {
    let seen: readonly Condition[] = [];
    const holds = ([type, wanted]: [string, string]) =>
      seen.some((found) => found.type === type && (found.status === wanted || found.reason === wanted));
    await until(`${kind} ${name}: ${JSON.stringify(expected)}`, async () => {
      seen = await conditionsOf(kind, name, namespace);
      return Object.entries(expected).every(holds);
    }).catch((error: unknown) => {
      const shown = seen.map(({ type, status, reason, message }) => `${type}=${status} ${reason} ${message}`);
      throw new Error(`${String(error)}\n${shown.join('\n')}\n${lastLines(processes.at(-1)?.logFile)}`, {
        cause: error,
      });
    });
  };

  const endRecord = async () => {
    try {
      return await recorder.stop();
    } finally {
      await objects.close();
      await nats.stop();
      await api.stop();
    }
  };

  const startOperator: OperatorWorld['startOperator'] = async (config = {}) => {
    const name = `operator-${processes.length}`;
    const file = join(dir, `${name}.json`);
    await mkdir(dir, { recursive: true });
    await writeFile(
      file,
      JSON.stringify({
        runtime: { image: 'registry.example/kanava/runtime:test' },
        nats: { url: nats.url, network: { namespace: operatorNamespace, podLabels: { app: 'nats' } } },
        ...config,
      }),
    );
    const env = {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(api.port),
      KANAVA_TOKEN_FOLDER: tokenFolder,
      KANAVA_CONFIG: file,
      KANAVA_NATS_FOLDER: nats.natsFolder,
      KANAVA_NAMESPACE: operatorNamespace,
      KANAVA_POD_NAME: name,
      KANAVA_SERVICE_ACCOUNT: 'kanava-operator',
      KANAVA_LOG_LEVEL: logLevel,
    };
    const started = await launch({ dir, program, healthPort: await freePort(), env });
    processes.push(started);
    return started;
  };
  let isEnding = false;
  const keepOperator = async (): Promise<void> => {
    const { exited } = await startOperator();
    void exited.then(() => (isEnding ? undefined : keepOperator()));
  };

  return {
    api,
    nats,
    kubectl,
    get,
    becomes,
    condition: async (kind, name, type, namespace) =>
      (await conditionsOf(kind, name, namespace)).find((found) => found.type === type),
    startOperator,
    keepOperator,
    apply: async (...all) => {
      for (const object of all) await apply(object);
    },
    list,
    rollOut: async (name, namespace) => {
      const deployment = await until(`Deployment ${name}`, () => get('deployment', name, namespace));
      const replicas = (deployment['spec'] as { replicas: number }).replicas;
      const { generation } = deployment.metadata;
      const status = { observedGeneration: generation, replicas, updatedReplicas: replicas, readyReplicas: replicas };
      await objects.patchStatus(deployment, status);
    },
    logs: () => processes.map(({ logFile }) => readFileSync(logFile, 'utf8')).join('\n'),
    stop: async () => {
      isEnding = true;
      await Promise.all(processes.map((operator) => operator.stop('SIGKILL')));
      await manager?.stop('SIGKILL');
      const versions = await endRecord();
      await keepStatuses(versions);
      const lies = dishonest(versions);
      if (lies.length > 0)
        throw new Error(`${lies.length} statuses that were written are not true:\n${lies.join('\n')}`);
    },
  };
};
