import { isInside, parseRange } from '../../../operator/plan/cidr.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';

/* What a network plugin decides, for the parts of NetworkPolicy that plans use. Policies add up; without one everything is open. */
type Labels = Readonly<Record<string, string>>;
interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { key: string; operator: string; values?: readonly string[] }[];
}
interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}
interface Rule {
  readonly to?: readonly Peer[];
  readonly from?: readonly Peer[];
  readonly ports?: readonly { readonly protocol: string; readonly port: number }[];
}
interface Spec {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly egress?: readonly Rule[];
  readonly ingress?: readonly Rule[];
}
/** The other end: a pod of a namespace, or an address. */
export type Other =
  | { readonly namespace: string; readonly namespaceLabels?: Labels; readonly labels: Labels }
  | { readonly address: string };

const selects = (selector: Selector, labels: Labels): boolean =>
  Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
  (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    if (operator !== 'In') throw new Error(`the evaluator does not know ${operator}`);
    return values.includes(labels[key] ?? '');
  });

const isPeer = (peer: Peer, other: Other, own: string): boolean => {
  if ('address' in other) return peer.ipBlock !== undefined && inBlock(peer.ipBlock, other.address);
  if (peer.ipBlock) return false;
  const namespaceLabels = { 'kubernetes.io/metadata.name': other.namespace, ...other.namespaceLabels };
  const rightNamespace = peer.namespaceSelector
    ? selects(peer.namespaceSelector, namespaceLabels)
    : other.namespace === own;
  return rightNamespace && selects(peer.podSelector ?? {}, other.labels);
};
const inBlock = ({ cidr, except = [] }: NonNullable<Peer['ipBlock']>, address: string): boolean => {
  const within = (text: string) => {
    const [inner, outer] = [parseRange(address), parseRange(text)];
    if (!inner || !outer) throw new Error(`not a range: ${address} or ${text}`);
    return isInside(inner, outer);
  };
  return within(cidr) && !except.some(within);
};

export const isOpen = (
  policies: readonly KubeObject[],
  pod: { namespace: string; labels: Labels },
  direction: 'egress' | 'ingress',
  other: Other,
  port: number,
  protocol = 'TCP',
): boolean => {
  const type = direction === 'egress' ? 'Egress' : 'Ingress';
  const specs = policies
    .map(({ spec }) => spec as Spec)
    .filter((spec) => spec.policyTypes.includes(type) && selects(spec.podSelector, pod.labels));
  if (specs.length === 0) return true;
  return specs
    .flatMap((spec) => spec[direction] ?? [])
    .some((rule) => {
      const peers = direction === 'egress' ? rule.to : rule.from;
      const rightPort = !rule.ports || rule.ports.some((open) => open.port === port && open.protocol === protocol);
      return rightPort && (!peers || peers.some((peer) => isPeer(peer, other, pod.namespace)));
    });
};
