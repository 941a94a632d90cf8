import { mustKubectl } from '../../cluster/kubectl.ts';
import { openAccounts } from './accounts.ts';
import { forgetReceived, idsOfDeadLetters } from './deliveries.ts';
import { type TenantName, tenantNames } from './expectations.ts';
import { showIsolation } from './isolation.ts';
import {
  compareDeadLetters,
  compareDeliveries,
  type Gateways,
  sendAll,
  sendUnmappable,
  showRefusals,
} from './messages.ts';
import { showCheck } from './mistake.ts';
import {
  applyIntegration,
  applyReceiver,
  applyTenants,
  integration,
  receiverNamespace,
  removeReceiver,
  removeTenants,
} from './objects.ts';
import { installShop, showOrders, showSchedule } from './orders.ts';
import { loadWebhooks } from './payloads.ts';
import { installChart, type Platform, provideImages } from './platform.ts';
import { openGateway } from './posting.ts';
import { reachService } from './reach.ts';
import type { Report } from './report.ts';

interface Options {
  /** Go on with the tenants that are there. */
  readonly keep: boolean;
  readonly report: Report;
}

/** From a cluster that may not be there to the last comparison; the order of the whole demo is visible here. */
export const demo = async (platform: Platform, { keep, report }: Options): Promise<void> => {
  const { kubectl } = platform;
  const hooks = loadWebhooks();
  await report.phase('A cluster', async () => report.note(await platform.provider.up(report.note)));
  // The operator of the last run lets go of its tenants while images are built.
  const [images] = await report.phase('Bundles and images; tenants of the last run go', () =>
    Promise.all([
      provideImages(platform, report),
      keep ? undefined : Promise.all([removeTenants(platform), removeReceiver(platform)]),
    ]),
  );
  await report.phase('The chart: operator, CRDs, NATS', () => installChart(platform, images));
  await report.phase('Tenants acme and globex, and a receiver', () =>
    Promise.all([applyTenants(platform), applyReceiver(platform, images['receiver'] ?? '')]),
  );
  const made = await report.phase(`An Integration "${integration}" for each`, () =>
    Promise.all(tenantNames.map((tenant) => applyIntegration(platform, tenant))),
  );
  const secrets = Object.fromEntries(tenantNames.map((name, index) => [name, made[index]])) as Record<
    TenantName,
    string
  >;
  const reached = await Promise.all(tenantNames.map((tenant) => reachService(platform, tenant, 'gateway', 80)));
  const gateways = Object.fromEntries(
    tenantNames.map((name, index) => [
      name,
      openGateway(reached[index] as (typeof reached)[0], integration, secrets[name]),
    ]),
  ) as Gateways;
  const receiver = await reachService(platform, receiverNamespace, 'receiver', 8080);
  const accounts = await openAccounts(platform);
  try {
    await forgetReceived(receiver);
    const old = await idsOfDeadLetters(accounts);
    await report.phase(`${hooks.length} real GitHub webhooks to both`, () => sendAll(gateways, hooks, report));
    await report.phase('What a gateway refuses', () => showRefusals(gateways, secrets, report));
    const crafted = await report.phase('What a flow rejects', () => sendUnmappable(gateways, report));
    await report.phase('Every delivery compared', () => compareDeliveries(accounts, receiver, hooks, report));
    await report.phase('Dead letters compared', () => compareDeadLetters(accounts, { hooks, crafted, old }, report));
    await report.phase("One tenant's credentials against the other", async () =>
      showIsolation(accounts, await uidsOf(platform), report),
    );
    const token = await report.phase('A third tenant, and its Integrations, from Helm values', () =>
      installShop(platform, report),
    );
    await report.phase('300 orders over the bus: no worker, many, none', () =>
      showOrders(platform, receiver, token, report),
    );
    await report.phase('A schedule', () => showSchedule(receiver, report));
    await report.phase('A mistake, said before it reaches a cluster', () => showCheck(report));
  } finally {
    receiver.close();
    await Promise.all([accounts.close(), ...tenantNames.map((name) => gateways[name].close())]);
  }
  await report.phase('As kubectl shows it', async () => {
    for (const what of [
      ['tenants.kanava.dev'],
      ['integrations.kanava.dev', '-A'],
      ['connections.kanava.dev', '-A'],
      ['pods', '-A'],
    ])
      report.note(`$ kubectl get ${what.join(' ')}\n${await mustKubectl(kubectl, ['get', ...what])}\n`);
  });
};

const uidsOf = async ({ kubectl }: Platform): Promise<Record<TenantName, string>> => {
  const uid = async (tenant: TenantName) =>
    mustKubectl(kubectl, [
      'get',
      'integrations.kanava.dev',
      integration,
      '-n',
      tenant,
      '-o',
      'jsonpath={.metadata.uid}',
    ]);
  return { acme: await uid('acme'), globex: await uid('globex') };
};
