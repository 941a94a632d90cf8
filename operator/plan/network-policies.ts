import type { EffectiveTenant } from '../api/effective.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import type { Config } from '../settings.ts';
import { type Component, child, componentLabel, type Home, managedBy } from './children.ts';
import { planEgressPeers, selectors } from './egress.ts';
import { gatewayPort } from './gateway.ts';
import { NetworkPolicies } from './kinds.ts';
import { healthPort } from './pods.ts';

/*
 * Everything is closed, then the paths that our pods need are opened, each in a policy of its own. Policies add up, so none of them may
 * select more pods than need the path.
 */
const namespaceNamed = (name: string) => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
});
const podsOf = (...components: Component[]) => ({
  matchLabels: managedBy,
  matchExpressions: [{ key: componentLabel, operator: 'In', values: components }],
});
const tcp = (port: number) => ({ protocol: 'TCP', port });
const natsPort = 4222;

export const planNetworkPolicies = (home: Home, tenant: EffectiveTenant, config: Config): KubeObject[] => {
  const { dns, nodeRanges, closedRanges } = config.network;
  const natsPeers =
    'cidrs' in config.nats.network
      ? config.nats.network.cidrs.map((cidr) => ({ ipBlock: { cidr } }))
      : [
          {
            ...namespaceNamed(config.nats.network.namespace),
            podSelector: { matchLabels: config.nats.network.podLabels },
          },
        ];
  const ours = podsOf('worker', 'gateway', 'intake');
  const policy = (name: string, spec: Record<string, unknown>) =>
    child(NetworkPolicies, home, `kanava-${name}`, { spec });
  const egress = (name: string, podSelector: unknown, rules: unknown[]) =>
    policy(name, { podSelector, policyTypes: ['Egress'], egress: rules });
  const ingress = (name: string, podSelector: unknown, rules: unknown[]) =>
    policy(name, { podSelector, policyTypes: ['Ingress'], ingress: rules });

  return [
    policy('default-deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }),
    egress('dns', ours, [
      {
        to: [{ ...namespaceNamed(dns.namespace), podSelector: { matchLabels: dns.podLabels } }],
        ports: [{ protocol: 'UDP', port: 53 }, tcp(53)],
      },
    ]),
    // Port 4222 only: the monitoring port of a server names every tenant to whoever asks.
    egress('nats', ours, [{ to: natsPeers, ports: [tcp(natsPort)] }]),
    egress('egress', podsOf('worker', 'intake'), planEgressPeers(tenant.network.egress.allow, closedRanges)),
    ingress('gateway', podsOf('gateway'), [
      { from: [{ podSelector: {} }, ...tenant.network.ingressFrom.map(origin)], ports: [tcp(gatewayPort)] },
    ]),
    ...(nodeRanges.length > 0
      ? [
          ingress('probes', ours, [
            { from: nodeRanges.map((cidr) => ({ ipBlock: { cidr } })), ports: [tcp(healthPort)] },
          ]),
        ]
      : []),
  ];
};

const origin = (entry: EffectiveTenant['network']['ingressFrom'][number]): Record<string, unknown> =>
  entry.cidr === undefined ? selectors(entry) : { ipBlock: { cidr: entry.cidr } };
