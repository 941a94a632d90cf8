import { ConfigMaps, Secrets } from '../plan/kinds.ts';
import type { KeysOf, Reference } from '../plan/references.ts';
import type { Cluster } from './ports.ts';

/** The keys of all objects that references name, read before a plan is made; values are not looked at. */
export const keysIn = async (
  cluster: Cluster,
  namespace: string,
  references: readonly Reference[],
): Promise<KeysOf> => {
  const known = new Map<string, readonly string[] | undefined>();
  for (const { kind, name } of references) {
    const id = `${kind}/${name}`;
    if (known.has(id)) continue;
    const object = await cluster.get(kind === 'Secret' ? Secrets : ConfigMaps, name, namespace);
    const gone = object === undefined || object.metadata.deletionTimestamp !== undefined;
    known.set(
      id,
      gone ? undefined : [...Object.keys(object['data'] ?? {}), ...Object.keys(object['binaryData'] ?? {})],
    );
  }
  return (kind, name) => known.get(`${kind}/${name}`);
};
