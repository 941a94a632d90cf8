import { ConfigMaps, Secrets } from '../plan/kinds.ts';
import type { KeysOf, Reference } from '../plan/references.ts';
import type { Cluster, KubeObject } from './ports.ts';

/** The objects that references name, by kind and name; `undefined` for one that is not there. */
export const referredTo = async (
  cluster: Cluster,
  namespace: string,
  references: readonly Reference[],
): Promise<Map<string, KubeObject | undefined>> => {
  const found = new Map<string, KubeObject | undefined>();
  for (const { kind, name } of references) {
    const id = `${kind}/${name}`;
    if (!found.has(id)) found.set(id, await cluster.get(kind === 'Secret' ? Secrets : ConfigMaps, name, namespace));
  }
  return found;
};

/** Their keys; values are not looked at. */
export const keysIn =
  (objects: ReadonlyMap<string, KubeObject | undefined>): KeysOf =>
  (kind, name) => {
    const object = objects.get(`${kind}/${name}`);
    const isGone = object === undefined || object.metadata.deletionTimestamp !== undefined;
    return isGone ? undefined : [...Object.keys(object['data'] ?? {}), ...Object.keys(object['binaryData'] ?? {})];
  };
