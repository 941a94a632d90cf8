import { type Accepted, readAccepted } from '../plan/accepted.ts';
import { acceptedName, integrationLabel, managedBy } from '../plan/children.ts';
import { ConfigMaps } from '../plan/kinds.ts';
import type { Cluster, KubeObject } from './ports.ts';

/** What was accepted of all Integrations of a namespace: what runs there, whatever their newest specs say. */
export const acceptedIn = (
  cluster: Cluster,
  namespace: string,
): { name: string; accepted: Accepted; object: KubeObject }[] =>
  cluster.list(ConfigMaps, { namespace, labels: managedBy }).flatMap((object) => {
    const name = object.metadata.labels?.[integrationLabel];
    if (name === undefined || object.metadata.name !== acceptedName(name)) return [];
    const accepted = readAccepted(object);
    return accepted ? [{ name, accepted, object }] : [];
  });
