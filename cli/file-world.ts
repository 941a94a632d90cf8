import { type Connection } from '../operator/api/connection.ts';
import { type EffectiveTenant, effectiveTenant } from '../operator/api/effective.ts';
import { Connections, Integrations, Tenants } from '../operator/api/meta.ts';
import { type Parsed, parseConnection, parseTenant } from '../operator/api/parse.ts';
import type { NamespaceLabels } from '../operator/plan/egress.ts';
import { type Claim, claimWinner } from '../operator/plan/namespace.ts';
import type { KeysOf } from '../operator/plan/references.ts';
import { type FileObject, isOurs, metadataOf } from './objects.ts';

/*
 * What the operator would read from a cluster, read from files. Where Tenants have no age, the one that comes first in the files counts as
 * the oldest.
 */
export interface FileWorld {
  readonly namespaceOf: (item: FileObject) => string;
  /** The Tenant that would hold the namespace. */
  readonly holderOf: (namespace: string) => { readonly name: string; readonly spec: EffectiveTenant } | undefined;
  readonly hasTenants: boolean;
  readonly claims: readonly Claim[];
  readonly connectionOf: (namespace: string, name: string) => Parsed<Connection> | undefined;
  readonly keysOf: (namespace: string) => KeysOf;
  /** From 1, among the Integrations of the namespace. */
  readonly positionOf: (item: FileObject) => number;
  readonly namespaces: readonly NamespaceLabels[];
}

export const fileWorld = (objects: readonly FileObject[], defaultNamespace: string): FileWorld => {
  const namespaceOf = ({ object }: FileObject) => metadataOf(object).namespace ?? defaultNamespace;
  const ours = (kind: string) => objects.filter((item) => isOurs(item) && item.object.kind === kind);
  const plain = (kind: string) => objects.filter(({ object }) => object.apiVersion === 'v1' && object.kind === kind);
  const tenants = ours(Tenants.kind).flatMap(({ object }, index) => {
    const parsed = parseTenant(object);
    if (!parsed.ok) return [];
    const { metadata, spec } = parsed.value;
    // After every time: what is only in a file is younger than what is stored.
    const since = metadata.creationTimestamp ?? `9${String(index).padStart(4, '0')}`;
    return [{ name: metadata.name, spec: effectiveTenant(metadata.name, spec), since }];
  });
  const claims = tenants.map(({ name, spec, since }) => ({ tenant: name, namespace: spec.namespace.name, since }));
  const integrations = ours(Integrations.kind);
  return {
    namespaceOf,
    holderOf: (namespace) => {
      const winner = claimWinner(namespace, claims);
      return tenants.find(({ name }) => name === winner);
    },
    hasTenants: ours(Tenants.kind).length > 0,
    claims,
    connectionOf: (namespace, name) => {
      const found = ours(Connections.kind).findLast(
        (item) => metadataOf(item.object).name === name && namespaceOf(item) === namespace,
      );
      return found && parseConnection(found.object);
    },
    keysOf: (namespace) => (kind, name) => {
      const found = plain(kind).findLast(
        (item) => metadataOf(item.object).name === name && namespaceOf(item) === namespace,
      );
      if (!found) return undefined;
      return ['data', 'stringData', 'binaryData'].flatMap((field) => Object.keys(found.object[field] ?? {}));
    },
    positionOf: (item) => 1 + integrations.filter((other) => namespaceOf(other) === namespaceOf(item)).indexOf(item),
    namespaces: plain('Namespace').map(({ object }) => {
      const { name = '' } = metadataOf(object);
      const labels = object.metadata.labels ?? {};
      return { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } };
    }),
  };
};
