import { remembered, rememberedWith } from '../api/remembered.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import { textHash } from './canonical.ts';

/*
 * Whether a child needs to be applied again. Each carries the hash of what was applied last: it tells when a field was dropped from
 * the plan. That nobody changed a field of ours is seen by comparing each with the live object, which may hold more (defaults).
 */
const appliedAnnotation = 'kanava.dev/applied';

/** Adds the hash; a plan has its fields in the same order each time, and so they are not sorted first. The values of a Secret stay out of it: a short one could be guessed from its hash. */
export const sealed: (desired: KubeObject) => KubeObject = remembered((desired) => {
  const hashed = desired.kind === 'Secret' ? { ...desired, data: Object.keys(dataOf(desired)).sort() } : desired;
  return {
    ...desired,
    metadata: {
      ...desired.metadata,
      annotations: { ...desired.metadata.annotations, [appliedAnnotation]: textHash(JSON.stringify(hashed)) },
    },
  };
});

const dataOf = (object: KubeObject) => (object['data'] ?? {}) as Record<string, unknown>;

export const isUpToDate = (desired: KubeObject, live: KubeObject | undefined): boolean =>
  live !== undefined &&
  live.metadata.deletionTimestamp === undefined &&
  comparison(desired, [live], () => holds(live, desired));
const comparison = rememberedWith<boolean>();

/** Every field of `part` is in `whole` with that value. */
const holds = (whole: unknown, part: unknown): boolean => {
  if (part === undefined) return true;
  if (Array.isArray(part)) return Array.isArray(whole) && listHolds(whole, part);
  if (part !== null && typeof part === 'object') {
    if (whole === null || typeof whole !== 'object') return isEmpty(part) && whole === undefined;
    const fields = whole as Record<string, unknown>;
    return Object.entries(part).every(
      ([key, value]) => holds(fields[key], value) || (isEmpty(value) && !(key in fields)),
    );
  }
  return whole === part;
};

// The API server leaves out empty lists and maps.
const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

// Lists whose items have names (containers, env, volumes) may hold items of other writers; all others are ours as a whole.
const listHolds = (whole: readonly unknown[], part: readonly unknown[]): boolean => {
  const names = part.map(nameOf);
  if (part.length > 0 && names.every((name) => name !== undefined))
    return part.every((item, index) =>
      holds(
        whole.find((candidate) => nameOf(candidate) === names[index]),
        item,
      ),
    );
  return whole.length === part.length && part.every((item, index) => holds(whole[index], item));
};
const nameOf = (item: unknown): string | undefined =>
  item !== null && typeof item === 'object' ? (item as { name?: string }).name : undefined;
