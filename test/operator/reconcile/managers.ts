import type { KubeObject } from '../../../operator/reconcile/ports.ts';

/** Paths of fields that more than one manager owns; containers of owned fields (`.`) are nobody's. */
export const sharedFields = (object: KubeObject): string[] => {
  const owners = new Map<string, Set<string>>();
  for (const { manager = '', fieldsV1 } of object.metadata.managedFields ?? [])
    for (const path of leaves(fieldsV1 as Fields)) owners.set(path, (owners.get(path) ?? new Set()).add(manager));
  return [...owners]
    .filter(([, managers]) => managers.size > 1)
    .map(([path, managers]) => `${path}: ${[...managers].join(', ')}`);
};

interface Fields {
  readonly [key: string]: Fields;
}
const leaves = (fields: Fields, path = ''): string[] =>
  Object.entries(fields).flatMap(([key, inner]) => {
    if (key === '.') return [];
    return Object.keys(inner).length === 0 ? [`${path}/${key}`] : leaves(inner, `${path}/${key}`);
  });
