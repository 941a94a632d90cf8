import { catalog } from '../../runtime/catalog.ts';
import type { Placement } from '../../runtime/connector.ts';
import { caFile, secretFile } from '../../runtime/schema.ts';
import type { IntegrationSpec } from '../api/integration.ts';
import { type References, referencesOfConnection, referencesOfIntegration } from '../api/references.ts';

/** A key of an object that a flow needs as a file, and that file's path below /etc/kanava. */
export interface Reference {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  readonly key: string;
  readonly path: string;
}

/** Who runs a part of an Integration. Steps and sinks are the worker's, sources as their placement says. */
export type Side = 'worker' | 'gateway' | 'intake';
const sides = { broker: 'worker', gateway: 'gateway', intake: 'intake' } as const satisfies Record<Placement, Side>;
type PlacementOf = (source: number) => Placement;

const sideAt =
  (placementOf: PlacementOf) =>
  ({ path }: { readonly path: string }): Side => {
    const index = /^spec\.sources\[(\d+)\]/.exec(path)?.[1];
    return index === undefined ? 'worker' : sides[placementOf(Number(index))];
  };

/** Files that each side needs; each once, in stable order. */
export const referencesOf = (
  spec: IntegrationSpec,
  connections: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  placementOf: PlacementOf,
): Record<Side, Reference[]> => {
  const own = referencesOfIntegration(spec);
  const sideOf = sideAt(placementOf);
  const part = (side: Side) => {
    const named = new Set(own.connections.filter((ref) => sideOf(ref) === side).map(({ name }) => name));
    const used = Object.entries(connections).filter(([name]) => named.has(name));
    const direct = {
      secrets: own.secrets.filter((ref) => sideOf(ref) === side),
      cas: own.cas.filter((ref) => sideOf(ref) === side),
    };
    return files([direct, ...used.map(([, settings]) => referencesOfConnection(settings))]);
  };
  return { worker: part('worker'), gateway: part('gateway'), intake: part('intake') };
};

/** Claims of the volumes that each side needs; each once, in stable order. */
export const claimsOf = (
  spec: IntegrationSpec,
  connections: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  placementOf: PlacementOf,
): Record<Side, string[]> => {
  const sideOf = sideAt(placementOf);
  const named = referencesOfIntegration(spec).connections;
  const part = (side: Side) => {
    const claims = named
      .filter((ref) => sideOf(ref) === side)
      .flatMap(({ name, system }) => catalog.connections.get(system)?.volumes?.(connections[name]?.[system]) ?? []);
    return [...new Set(claims)].sort();
  };
  return { worker: part('worker'), gateway: part('gateway'), intake: part('intake') };
};

/** Files that one Connection needs. */
export const filesOfConnection = (spec: Readonly<Record<string, unknown>>): Reference[] =>
  files([referencesOfConnection(spec)]);

const files = (all: readonly Pick<References, 'secrets' | 'cas'>[]): Reference[] => {
  const found = new Map<string, Reference>();
  for (const { secrets, cas } of all) {
    for (const { name, key } of secrets) {
      const path = secretFile({ secretKeyRef: { name, key } });
      found.set(path, { kind: 'Secret', name, key, path });
    }
    for (const { kind, name, key } of cas) {
      const path = caFile({ kind, name, key });
      found.set(path, { kind, name, key, path });
    }
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
};

/** The keys that are there, by kind and name; values stay with the caller. */
export type KeysOf = (kind: Reference['kind'], name: string) => readonly string[] | undefined;

/** The first reference that leads nowhere, with what to do; no values. */
export const missingReference = (
  references: readonly Reference[],
  keysOf: KeysOf,
): { kind: Reference['kind']; message: string } | undefined => {
  for (const { kind, name, key } of references) {
    const keys = keysOf(kind, name);
    if (keys === undefined)
      return { kind, message: `${kind} ${name} is not in this namespace; create it with the key ${key}` };
    if (!keys.includes(key))
      return { kind, message: `${kind} ${name} has no key ${key} (it has: ${keys.join(', ') || 'none'}); add the key` };
  }
  return undefined;
};
