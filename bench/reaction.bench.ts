import { Integrations } from '../operator/api/meta.ts';
import { acceptedName } from '../operator/plan/children.ts';
import {
  ConfigMaps,
  Deployments,
  LimitRanges,
  NetworkPolicies,
  ResourceQuotas,
  RoleBindings,
  Secrets,
  ServiceAccounts,
  Services,
} from '../operator/plan/kinds.ts';
import type { ResourceKind } from '../operator/reconcile/ports.ts';
import { workerConsumer } from '../runtime/nats/names.ts';
import { integration } from '../test/build.ts';
import { mainLayout } from '../test/cluster/node/layout.ts';
import { nativeProvider } from '../test/cluster/providers/native.ts';
import { installChart, platformOf, provideImages } from '../test/e2e/demo/platform.ts';
import { createReport } from '../test/e2e/demo/report.ts';
import { median, roundsOf } from './measure.ts';
import {
  badStep,
  goodStep,
  isTrue,
  name,
  type ReactionWorld,
  specOf,
  startReactionWorld,
  until,
} from './reaction/world.ts';

export const help = `reaction [ROUNDS]    ROUNDS: 5 unless said otherwise

  Seconds from an act to the truth, on the native node: a mistake in a spec until the status says so; anything that belongs to an
  Integration or its tenant deleted, until it is there again; a Secret changed until the gateway and the worker use it. A cluster that was
  not there is removed again.`;

const children: readonly (readonly [ResourceKind, string])[] = [
  [Deployments, `worker-${name}`],
  [ServiceAccounts, `worker-${name}`],
  [Secrets, `nats-worker-${name}`],
  [ConfigMaps, acceptedName(name)],
  [ConfigMaps, 'nats'],
  [Deployments, 'gateway'],
  [Services, 'gateway'],
  [ServiceAccounts, 'gateway'],
  [Secrets, 'nats-gateway'],
  [Secrets, 'gateway-secrets'],
  [NetworkPolicies, 'kanava-default-deny'],
  [RoleBindings, 'kanava-operator-tenant'],
  [ResourceQuotas, 'kanava'],
  [LimitRanges, 'kanava'],
];

const badEdit = async (world: ReactionWorld): Promise<number> => {
  const edit = (step: unknown) => world.apply(Integrations, integration(specOf([step]), { name, namespace: name }));
  await edit(badStep);
  const seconds = await until(async () => isTrue(await world.get(Integrations, name), 'Stalled'));
  await edit(goodStep);
  await until(async () => isTrue(await world.get(Integrations, name), 'Ready'));
  return seconds;
};

const repairedChild = async (world: ReactionWorld, kind: ResourceKind, child: string): Promise<number> => {
  const before = (await world.get(kind, child))?.metadata.uid;
  await world.remove(kind, child);
  return until(async () => ![undefined, before].includes((await world.get(kind, child))?.metadata.uid));
};
const repairedStream = async ({ streams: { streams } }: ReactionWorld, stream: string): Promise<number> => {
  const { created } = await streams.info(stream);
  await streams.delete(stream);
  return until(() =>
    streams.info(stream).then(
      (info) => info.created !== created,
      () => false,
    ),
  );
};
const repairedConsumer = async ({ streams: { consumers } }: ReactionWorld, stream: string, consumer: string) => {
  const { created } = await consumers.info(stream, consumer);
  await consumers.delete(stream, consumer);
  return until(() =>
    consumers.info(stream, consumer).then(
      (info) => info.created !== created,
      () => false,
    ),
  );
};

const secretAtGateway = async (world: ReactionWorld, token: string): Promise<number> => {
  await world.setToken('gate', token);
  return until(async () => (await world.post(token)) === 202, 50);
};
const secretAtWorker = async (world: ReactionWorld, token: string, gate: string): Promise<number> => {
  await world.delivered();
  await world.setToken('erp', token);
  return until(async () => {
    await world.post(gate);
    return (await world.delivered()).includes(`Bearer ${token}`);
  }, 100);
};

export const run = async (args: string[]): Promise<void> => {
  const rounds = roundsOf(args[0], 5);
  const report = createReport((line) => console.error(line));
  const platform = await platformOf(nativeProvider(mainLayout));
  const { up: wasUp } = await platform.provider.status();
  const images = await report.phase('A cluster, images and the chart', async () => {
    await platform.provider.up(report.note);
    const provided = await provideImages(platform, report);
    await installChart(platform, provided);
    return provided;
  });
  const seen = new Map<string, number[]>();
  const note = (what: string, seconds: number) => {
    report.note(`${what}: ${seconds.toFixed(2)} s`);
    seen.set(what, [...(seen.get(what) ?? []), seconds]);
  };
  try {
    const world = await report.phase('A tenant with an Integration', () =>
      startReactionWorld(platform, images['receiver'] ?? ''),
    );
    for (let round = 1; round <= rounds; round += 1)
      await report.phase(`Round ${round} of ${rounds}`, async () => {
        note('bad_edit', await badEdit(world));
        const gate = `gate-${round}`;
        note('secret gateway', await secretAtGateway(world, gate));
        note('secret worker', await secretAtWorker(world, `erp-${round}`, gate));
        for (const [kind, child] of children)
          note(`repair ${kind.kind} ${child}`, await repairedChild(world, kind, child));
        for (const stream of [`inbox_${name}`, `dlq_${name}`, 'bus', 'tick', 'KV_state', 'KV_gateway', 'KV_answer'])
          note(`repair stream ${stream}`, await repairedStream(world, stream));
        const inbox = `inbox_${name}`;
        note('repair consumer', await repairedConsumer(world, inbox, workerConsumer(0)));
        // The next round begins with everything in its place.
        await until(async () => isTrue(await world.get(Integrations, name), 'Ready'));
      });
    await report.phase('Removing the tenant', () => world.close());
  } finally {
    if (!wasUp) await platform.provider.down(report.note);
  }
  for (const [what, values] of seen)
    console.log(`${what}: median ${median(values).toFixed(2)} s, worst ${Math.max(...values).toFixed(2)} s`);
  const worst = (prefix: string) =>
    Math.max(...[...seen].filter(([what]) => what.startsWith(prefix)).map(([, values]) => median(values)));
  console.log(`bad_edit_s ${worst('bad_edit').toFixed(2)}`);
  console.log(`repair_s ${worst('repair').toFixed(2)}`);
  console.log(`secret_s ${worst('secret').toFixed(2)}`);
};
