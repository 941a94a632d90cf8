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

/** Files that workers need, and those that the gateway needs for the sources that it serves; each once, in stable order. */
export const referencesOf = (
  spec: IntegrationSpec,
  connections: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  isGatewaySource: (index: number) => boolean,
): { worker: Reference[]; gateway: Reference[] } => {
  const own = referencesOfIntegration(spec);
  const atGateway = ({ path }: { path: string }) => {
    const index = /^spec\.sources\[(\d+)\]/.exec(path)?.[1];
    return index !== undefined && isGatewaySource(Number(index));
  };
  const part = (wanted: boolean) => ({
    secrets: own.secrets.filter((ref) => atGateway(ref) === wanted),
    cas: own.cas.filter((ref) => atGateway(ref) === wanted),
  });
  return {
    worker: files([part(false), ...Object.values(connections).map(referencesOfConnection)]),
    gateway: files([part(true)]),
  };
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
