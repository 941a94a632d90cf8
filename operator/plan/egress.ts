import type { EgressRules } from '../../runtime/flow.ts';
import type { EffectiveTenant } from '../api/effective.ts';
import { isInside, parseRange } from './cidr.ts';
import { isSelected } from './label-selector.ts';

/*
 * The tenant's ceiling, in the two forms that enforce it: NetworkPolicy peers for the node, rules for the runtime. Nothing listed means
 * public addresses only. A listed range does not open narrower special ranges inside it: those are listed themselves, or stay closed.
 */
type Allow = EffectiveTenant['network']['egress']['allow'];

/** Never public: IANA's special-purpose registries, multicast, and all of IPv6 that is not global unicast (2000::/3). */
export const specialRanges: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // Instance metadata of clouds, in ranges that are otherwise public.
  '168.63.129.16/32',
  '::/3',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '4000::/2',
  '8000::/1',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
];

/** A namespace of the cluster, as selectors see it. */
export interface NamespaceLabels {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}
export interface Surroundings {
  /** The tenant's own. */
  readonly namespace: string;
  /** All of the cluster. */
  readonly namespaces: readonly NamespaceLabels[];
  readonly closedRanges: readonly string[];
}

/**
 * The runtime knows no namespaces: a selector becomes the host names of the services in those that it selects now. Pods and ports are
 * left to the NetworkPolicy.
 */
export const planEgressRules = (allow: Allow, { namespace, namespaces, closedRanges }: Surroundings): EgressRules => {
  const selected = ({ namespaceSelector }: Allow[number]): string[] =>
    namespaceSelector === undefined
      ? [namespace]
      : namespaces.filter(({ labels }) => isSelected(namespaceSelector, labels)).map(({ name }) => name);
  const rules = allow.flatMap((entry): EgressRules['allow'] =>
    entry.cidr === undefined
      ? selected(entry).toSorted(byText).flatMap(serviceHosts)
      : [{ cidr: entry.cidr, ...(entry.ports ? { ports: entry.ports } : {}) }],
  );
  // No rule at all would mean "public": a ceiling whose selectors select nothing opens nothing (.invalid never resolves, RFC 2606).
  return {
    allow: allow.length > 0 && rules.length === 0 ? [{ hostSuffix: '.invalid' }] : rules,
    closed: [...closedRanges],
  };
};
const serviceHosts = (namespace: string) => [
  { hostSuffix: `.${namespace}.svc` },
  { hostSuffix: `.${namespace}.svc.cluster.local` },
];
const byText = (a: string, b: string): number => (a < b ? -1 : 1);

/** `egress` rules of a NetworkPolicy. */
export const planEgressPeers = (allow: Allow, closedRanges: readonly string[]): Record<string, unknown>[] => {
  const closed = [...specialRanges, ...closedRanges];
  if (allow.length === 0)
    return [{ to: ['0.0.0.0/0', '2000::/3'].map((cidr) => ({ ipBlock: ipBlock(cidr, closed) })) }];
  return allow.map((entry) => ({
    to: [entry.cidr === undefined ? selectors(entry) : { ipBlock: ipBlock(entry.cidr, closed) }],
    ...(entry.ports?.length ? { ports: entry.ports.map((port) => ({ protocol: 'TCP', port })) } : {}),
  }));
};

/** Only ranges strictly inside are exceptions; the API server refuses others. */
const ipBlock = (cidr: string, closed: readonly string[]): Record<string, unknown> => {
  const outer = parseRange(cidr);
  const except = closed.filter((text) => {
    const inner = parseRange(text);
    return inner && outer && inner.prefix > outer.prefix && isInside(inner, outer);
  });
  return { cidr, ...(except.length > 0 ? { except: [...new Set(except)] } : {}) };
};

export const selectors = (entry: {
  readonly namespaceSelector?: unknown;
  readonly podSelector?: unknown;
}): Record<string, unknown> => ({
  ...(entry.namespaceSelector === undefined ? {} : { namespaceSelector: entry.namespaceSelector }),
  ...(entry.podSelector === undefined ? {} : { podSelector: entry.podSelector }),
});

/** Whether a literal address is outside the ceiling; `undefined` for names, which are checked when they are resolved. */
export const isAddressDenied = (host: string, allow: Allow, closedRanges: readonly string[]): boolean | undefined => {
  const address = parseRange(host);
  if (address === undefined || host.includes('/')) return undefined;
  const within = (text: string) => {
    const range = parseRange(text);
    return range !== undefined && isInside(address, range) ? range.prefix : undefined;
  };
  const narrowest = (ranges: readonly string[]) => Math.max(-1, ...ranges.map((range) => within(range) ?? -1));
  const listed = narrowest(allow.flatMap((entry) => entry.cidr ?? []));
  const closed = narrowest([...specialRanges, ...closedRanges]);
  return allow.length === 0 ? closed >= 0 : listed < 0 || closed > listed;
};
