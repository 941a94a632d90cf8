import { type CaRef, caFile, type SecretRef, secretFile } from '../../runtime/schema.ts';

/** A key of an object that a flow needs as a file, and that file's path below /etc/kanava. */
export interface Reference {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  readonly key: string;
  readonly path: string;
}

/**
 * All references in configurations, each once, in stable order. They are found by their form, which runtime/schema.ts gives to every
 * connector, so a new connector needs nothing here.
 */
export const referencesIn = (configuration: unknown): Reference[] => {
  const found = new Map<string, Reference>();
  visit(configuration, (reference) => found.set(reference.path, reference));
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
};

const visit = (value: unknown, add: (reference: Reference) => void): void => {
  if (value === null || typeof value !== 'object') return;
  if (Array.isArray(value)) {
    for (const item of value) visit(item, add);
    return;
  }
  for (const [field, item] of Object.entries(value as Record<string, unknown>)) {
    if (field === 'secretKeyRef' && isNameAndKey(item)) {
      const ref: SecretRef = { secretKeyRef: { name: item.name, key: item.key } };
      add({ kind: 'Secret', ...ref.secretKeyRef, path: secretFile(ref) });
    } else if (field === 'caRef' && isCaRef(item)) {
      add({ kind: item.kind, name: item.name, key: item.key, path: caFile(item) });
    } else visit(item, add);
  }
};

const isNameAndKey = (value: unknown): value is { name: string; key: string } => {
  const { name, key } = (value ?? {}) as Record<string, unknown>;
  return typeof name === 'string' && typeof key === 'string';
};
const isCaRef = (value: unknown): value is CaRef => {
  const { kind } = (value ?? {}) as Record<string, unknown>;
  return isNameAndKey(value) && (kind === 'Secret' || kind === 'ConfigMap');
};

/** The keys that are there, by kind and name; values stay with the caller. */
export type KeysOf = (kind: Reference['kind'], name: string) => readonly string[] | undefined;

/** The first reference that leads nowhere, as a sentence with what to do; no values. */
export const missingReference = (references: readonly Reference[], keysOf: KeysOf): string | undefined => {
  for (const { kind, name, key } of references) {
    const keys = keysOf(kind, name);
    if (keys === undefined) return `${kind} ${name} is not in this namespace; create it with the key ${key}`;
    if (!keys.includes(key))
      return `${kind} ${name} has no key ${key} (it has: ${keys.join(', ') || 'none'}); add the key`;
  }
  return undefined;
};
