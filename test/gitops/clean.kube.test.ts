import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeUser } from '../../operator/broker/credentials.ts';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { inboxPrefix, inboxStream, inboxSubject } from '../../runtime/nats/names.ts';
import { connection, filter, http, httpSink, integration, secretKeyRef, tenant } from '../build.ts';
import type { CommandResult } from '../cluster/command.ts';
import { adminCreds, connectWith } from '../operator/broker/world.ts';
import {
  type OperatorProcess,
  type OperatorWorld,
  startOperatorWorld,
  until,
} from '../operator/reconcile/operator-world.ts';
import { accountOf, type StandIns, startStandIns } from '../operator/reconcile/stand-ins.ts';

/*
 * What is in Git is what is in the cluster: two minutes of applying the same again and again, by client-side and by server-side apply with
 * another field manager, while pods come and go, integrations are suspended, and the operator is restarted and upgraded. Nothing ever
 * differs, and nobody is in anybody's way.
 */
const minutes = 2;
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** One tenant's files, and how they are applied. */
interface Repository {
  readonly tenant: string;
  readonly flags: readonly string[];
  /** What is in Git now. */
  files: readonly object[];
  /** How often it changed an object's spec. */
  readonly changes: Map<string, number>;
  /** The last that was begun; a commit and a look never overlap. */
  turn: Promise<unknown>;
}
const inTurn = <T>(repository: Repository, work: () => Promise<T>): Promise<T> => {
  const result = repository.turn.then(work);
  repository.turn = result.catch(() => {});
  return result;
};
const filesOf = (name: string): object[] => {
  const here = { namespace: name };
  const data = { token: Buffer.from('text').toString('base64') };
  const settings = (spec: Parameters<typeof integration>[0]) => ({
    sources: [http({ auth: { bearer: secretKeyRef('shop', 'token') } })],
    steps: [filter('body.total > 10.0')],
    sinks: [httpSink()],
    ...spec,
  });
  return [
    tenant(
      { namespace: { name }, members: [{ kind: 'User', name: 'ann', role: 'Editor' }], quota: { integrations: 9 } },
      { name },
    ),
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shop', ...here }, data },
    connection({ http: { url: 'https://erp.example.com', auth: { bearer: secretKeyRef('shop', 'token') } } }, here),
    integration(settings({ scaling: { maxReplicas: 5, lagPerReplica: 10, idleAfter: '2s' } }), here),
    integration(settings({ scaling: { mode: 'Manual', replicas: 2 } }), { name: 'manual', ...here }),
    integration(settings({ suspend: true }), { name: 'parked', ...here }),
  ];
};
const repository = (name: string, ...flags: string[]): Repository => ({
  tenant: name,
  flags,
  files: filesOf(name),
  changes: new Map(),
  turn: Promise.resolve(),
});
const repositories = [repository('acme'), repository('globex', '--server-side', '--field-manager=gitops')];

let world: OperatorWorld;
let operator: OperatorProcess;
const standIns: StandIns[] = [];
const command = (verb: string, { files, flags }: Repository): Promise<CommandResult> =>
  world.api.kubectl([verb, '-f', '-', ...flags], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: files }),
  });

/** kubectl reads and merges one after the other, so a status that is written in between shows: what differs twice differs. */
const differences = async (repository: Repository): Promise<string[]> => {
  for (const isLast of [false, true]) {
    const { code, stdout, stderr } = await command('diff', repository);
    if (code === 0 && stdout === '') return [];
    if (isLast) return [`kubectl diff: ${stdout}${stderr}`];
  }
  return [];
};
const applied = async (repository: Repository): Promise<string[]> => {
  const { code, stdout, stderr } = await command('apply', repository);
  if (code !== 0) return [`kubectl apply: ${stderr}`];
  const isQuiet = (line: string) => /(unchanged|serverside-applied)$/.test(line);
  const loud = stdout
    .trim()
    .split('\n')
    .filter((line) => !isQuiet(line));
  return loud.map((line) => `kubectl apply: ${line}`);
};
const kinds = 'tenants.kanava.dev,connections.kanava.dev,integrations.kanava.dev';
/** A spec that changed without Git. */
const touched = async ({ tenant: name, changes }: Repository): Promise<string[]> => {
  const { items } = JSON.parse(await world.kubectl(['get', kinds, '-A', '-o', 'json'])) as { items: KubeObject[] };
  return items
    .filter(({ metadata }) => (metadata.namespace ?? metadata.name) === name)
    .map(({ kind, metadata }) => ({ id: `${kind} ${metadata.name}`, generation: metadata.generation }))
    .filter(({ id, generation }) => generation !== 1 + (changes.get(id) ?? 0))
    .map(({ id, generation }) => `${id} has generation ${generation}`);
};
const problemsOf = (repository: Repository): Promise<string[]> =>
  inTurn(repository, async () => [
    ...(await differences(repository)),
    ...(await applied(repository)),
    ...(await touched(repository)),
  ]);

/** A commit: Git changes, and is applied. */
const commit = (repository: Repository, name: string, spec: object): Promise<void> =>
  inTurn(repository, async () => {
    repository.files = repository.files.map((file) => {
      const object = file as KubeObject;
      if (object.kind !== 'Integration' || object.metadata.name !== name) return file;
      return { ...object, spec: { ...(object['spec'] as object), ...spec } };
    });
    const id = `Integration ${name}`;
    repository.changes.set(id, (repository.changes.get(id) ?? 0) + 1);
    expect(await command('apply', repository)).toMatchObject({ code: 0 });
  });

beforeAll(async () => {
  world = await startOperatorWorld();
  operator = await world.startOperator();
  for (const one of repositories) {
    const [own, ...others] = one.files as [object, ...object[]];
    await command('apply', { ...one, files: [own] });
    await world.becomes('tenants.kanava.dev', one.tenant, { Ready: 'True' });
    expect(await command('apply', { ...one, files: others })).toMatchObject({ code: 0 });
    standIns.push(await startStandIns(world, one.tenant));
  }
});
afterAll(async () => {
  for (const one of standIns) await one.stop();
  await world?.stop();
});

const deploymentOf = async (name: string, namespace: string) => world.get('deployment', `worker-${name}`, namespace);
const replicasOf = async (name: string, namespace: string) =>
  ((await deploymentOf(name, namespace))?.['spec'] as { replicas?: number } | undefined)?.replicas;
const isReady = (namespace: string, name: string, reason: string) =>
  world.becomes('integrations.kanava.dev', name, { Ready: reason, Reconciling: 'False' }, namespace);

const everywhere = (act: (one: Repository) => Promise<unknown>) => Promise.all(repositories.map(act));
const restart = async (config?: Record<string, unknown>) => {
  expect(await operator.stop()).toBe(0);
  operator = await world.startOperator(config);
};
const replicasBecome = (name: string, namespace: string, count: number) =>
  until(`${count} workers of ${name}`, async () => (await replicasOf(name, namespace)) === count, 180_000);

/** What happens in a cluster, each with what shows that it has happened; done in turn while the files are applied. */
const events: Readonly<Record<string, () => Promise<unknown>>> = {
  'messages wait, and workers come; nothing waits, and they go': () =>
    everywhere(async ({ tenant: name }) => {
      const keys = await accountOf(world, name);
      const gatewayCreds = makeUser(keys, 'gateway', undefined, 60_000).creds;
      const gateway = await connectWith(world.nats.url, gatewayCreds, inboxPrefix('gateway', undefined));
      for (let count = 0; count < 100; count += 1)
        await gateway.request(inboxSubject('orders', 0, 'in'), '{}', { timeout: 60_000 });
      await gateway.close();
      await replicasBecome('orders', name, 5);
      await isReady(name, 'orders', 'Running');
      const admin = await connectWith(world.nats.url, adminCreds(keys), '_INBOX');
      await (await jetstreamManager(admin)).streams.purge(inboxStream('orders'));
      await admin.close();
      await replicasBecome('orders', name, 0);
      await isReady(name, 'orders', 'Idle');
    }),
  'somebody scales by hand': () =>
    everywhere(async ({ tenant: name }) => {
      await world.kubectl(['scale', 'deployment/worker-manual', '--replicas=7', '-n', name]);
      await replicasBecome('manual', name, 2);
    }),
  'a suspended integration goes on, and is suspended again': () =>
    everywhere(async (one) => {
      await commit(one, 'parked', { suspend: false, scaling: { minReplicas: 1 } });
      await replicasBecome('parked', one.tenant, 1);
      await commit(one, 'parked', { suspend: true });
      await replicasBecome('parked', one.tenant, 0);
      await isReady(one.tenant, 'parked', 'Suspended');
    }),
  'the operator is restarted, and something was deleted meanwhile': async () => {
    await everywhere(({ tenant: name }) => world.kubectl(['delete', 'deployment', 'worker-manual', '-n', name]));
    await restart();
    await everywhere(async ({ tenant: name }) => {
      await replicasBecome('manual', name, 2);
      await isReady(name, 'manual', 'Running');
    });
  },
  'the operator is upgraded, and with it the workers': async () => {
    const image = 'registry.example/kanava/runtime:next';
    await restart({ runtime: { image } });
    await everywhere(async ({ tenant: name }) => {
      const isNew = async () => JSON.stringify(await deploymentOf('manual', name)).includes(image);
      await until('the new image', isNew, 180_000);
      await isReady(name, 'manual', 'Running');
    });
  },
};
const everything = async (): Promise<number> => {
  for (const event of Object.values(events)) await event();
  return Object.keys(events).length;
};

it('nothing differs and nothing conflicts', { timeout: 900_000 }, async () => {
  const end = performance.now() + minutes * 60_000;
  const problems: string[] = [];
  let rounds = 0;
  const over = new AbortController();
  const happening = everything().finally(() => over.abort());
  const isOver = () => over.signal.aborted && performance.now() > end && rounds >= 10;
  for (; problems.length === 0 && !isOver(); rounds += 1)
    for (const one of repositories) problems.push(...(await problemsOf(one)));
  const happened = await happening;
  expect(problems).toEqual([]);
  console.log(`${rounds} times applied and compared while ${happened} things happened: no difference, no conflict`);
});

/* What an operator could do that writes into specs, done by somebody: it is seen. */
describe.each(repositories)('control in $tenant', (one) => {
  const write = (spec: object) => {
    const object = ['integrations.kanava.dev', 'manual', '-n', one.tenant];
    return world.kubectl(['patch', ...object, '--type=merge', '-p', JSON.stringify({ spec })]);
  };
  const [isServerSide] = one.flags;

  it('a default that is written is seen', async () => {
    await write({ deletionPolicy: 'Retain' });
    expect(await problemsOf(one)).toEqual([expect.stringMatching(/^Integration manual has generation 2/)]);
  });

  it('a value that is changed is seen', async () => {
    await write({ scaling: { replicas: 5 } });
    const problems = (await problemsOf(one)).join('\n');
    expect(problems).toMatch(/kubectl diff: /);
    expect(problems).toMatch(isServerSide ? /kubectl apply: .*conflict/s : /kubectl apply: .*manual configured/);
  });
});
