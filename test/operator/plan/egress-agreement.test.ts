import { describe, expect, it } from 'vitest';
import { childLabels } from '../../../operator/plan/children.ts';
import { isAddressDenied, type NamespaceLabels, planEgressRules } from '../../../operator/plan/egress.ts';
import { planNetworkPolicies } from '../../../operator/plan/network-policies.ts';
import { createEgress } from '../../../runtime/egress.ts';
import { acme, home, settings } from './fixtures.ts';
import { isOpen } from './network-evaluator.ts';

/*
 * The ceiling is enforced twice: by the node's NetworkPolicies and by the runtime on the address that it resolved. The two must agree
 * on addresses, else a tenant's Connection works on one cluster and not on another; and neither may be the weaker one unnoticed.
 */
const ceilings: Record<string, NonNullable<NonNullable<Parameters<typeof acme>[0]>['network']>['egress']> = {
  'public only': {},
  'a private range': { allow: [{ cidr: '10.0.0.0/8' }] },
  'a range and a port': { allow: [{ cidr: '10.20.0.0/16', ports: [443] }] },
  'the pods of this cluster': { allow: [{ cidr: '10.244.0.0/16' }] },
  everything: { allow: [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }] },
  'one address': { allow: [{ cidr: '93.184.216.34/32' }] },
  'unique local': { allow: [{ cidr: 'fd00:1::/32' }] },
};
// biome-ignore format: a list, not a column
const addresses = [
  '93.184.216.34', '8.8.8.8', '1.1.1.1', '11.0.0.1', '172.32.0.1', '192.167.255.255', '10.1.2.3',
  '10.20.3.4', '10.244.1.7', '10.96.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1', '198.18.0.1',
  '127.0.0.1', '0.0.0.0', '169.254.169.254', '168.63.129.16', '192.0.2.1', '224.0.0.1', '255.255.255.255',
  '2606:2800:220:1::1', '::1', 'fe80::1', 'fd00:1::5', 'fd00:ec2::254', 'ff02::1', '2001:db8::1',
  '2002:a01:203::1',
];

const runtimeAllows = async (egress: ReturnType<typeof createEgress>, host: string, port: number): Promise<boolean> =>
  egress.resolve({ host, port }).then(
    () => true,
    () => false,
  );

describe.each(Object.entries(ceilings))('the ceiling "%s"', (_name, ceiling) => {
  const tenant = acme({ network: { egress: ceiling ?? {} } });
  const { config } = settings();
  const { allow } = tenant.network.egress;
  const policies = planNetworkPolicies({ tenant: 'acme', namespace: 'acme' }, tenant, config);
  const runtime = createEgress(
    planEgressRules(allow, { namespace: 'acme', namespaces: [], closedRanges: config.network.closedRanges }),
  );
  const worker = { namespace: 'acme', labels: childLabels(home, 'worker') };

  it.each(addresses)('is the same on the node and in the runtime for %s', async (address) => {
    for (const port of [443, 5432])
      expect([port, isOpen(policies, worker, 'egress', { address }, port)]).toEqual([
        port,
        await runtimeAllows(runtime, address, port),
      ]);
  });

  it('refuses at once what the runtime would refuse on every port', async () => {
    for (const address of addresses) {
      const ports = await Promise.all([443, 5432].map((port) => runtimeAllows(runtime, address, port)));
      expect([address, isAddressDenied(address, allow, config.network.closedRanges)]).toEqual([
        address,
        !ports.some(Boolean),
      ]);
    }
  });
});

describe('selectors', () => {
  const namespaces: NamespaceLabels[] = [
    { name: 'shop', labels: { team: 'shop', tier: 'front' } },
    { name: 'stock', labels: { team: 'shop' } },
    { name: 'bank', labels: { team: 'bank' } },
  ];
  type Entry = Parameters<typeof planEgressRules>[0][number];
  const hosts = (entry: Entry) =>
    planEgressRules([entry], { namespace: 'acme', namespaces, closedRanges: [] }).allow.flatMap((rule) =>
      'hostSuffix' in rule && !rule.hostSuffix.endsWith('.local') ? [rule.hostSuffix] : [],
    );
  it.each([
    ['labels', { namespaceSelector: { matchLabels: { team: 'shop' } } }, ['.shop.svc', '.stock.svc']],
    [
      'In',
      { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['bank'] }] } },
      ['.bank.svc'],
    ],
    [
      'NotIn',
      { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['shop'] }] } },
      ['.bank.svc'],
    ],
    ['Exists', { namespaceSelector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] } }, ['.shop.svc']],
    [
      'DoesNotExist',
      { namespaceSelector: { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] } },
      ['.bank.svc', '.stock.svc'],
    ],
    ['pods alone are of the own namespace', { podSelector: {} }, ['.acme.svc']],
    // An empty list would mean "public".
    ['nothing selected opens nothing', { namespaceSelector: { matchLabels: { team: 'none' } } }, ['.invalid']],
  ] as [string, Entry, string[]][])('become host names: %s', (_why, entry, expected) => {
    expect(hosts(entry)).toEqual(expected);
  });
});
