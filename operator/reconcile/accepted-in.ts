import { remembered } from '../api/remembered.ts';
import { type Accepted, readAccepted } from '../plan/accepted.ts';
import { acceptedName, integrationLabel } from '../plan/children.ts';
import { ConfigMaps } from '../plan/kinds.ts';
import type { Cluster, KubeObject } from './ports.ts';

export interface AcceptedIn {
  readonly name: string;
  readonly accepted: Accepted;
  readonly object: KubeObject;
}

/** What was accepted of all Integrations of a namespace: what runs there, whatever their newest specs say. */
export const acceptedIn = (cluster: Cluster, namespace: string): readonly AcceptedIn[] =>
  recordsIn(cluster.list(ConfigMaps, { namespace }));

/** ConfigMaps are watched with our label only. */
const recordsIn = remembered((objects: readonly KubeObject[]): readonly AcceptedIn[] =>
  objects.flatMap((object) => recordOf(object) ?? []),
);

const recordOf = remembered((object: KubeObject): AcceptedIn | undefined => {
  const name = object.metadata.labels?.[integrationLabel];
  if (name === undefined || object.metadata.name !== acceptedName(name)) return undefined;
  const accepted = readAccepted(object);
  return accepted && { name, accepted, object };
});
