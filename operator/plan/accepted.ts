import type { IntegrationSpec } from '../api/integration.ts';
import { remembered } from '../api/remembered.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import { canonicalJson } from './canonical.ts';
import { acceptedName, child, type Home } from './children.ts';
import type { ConnectionSettings } from './flow.ts';
import { ConfigMaps } from './kinds.ts';

/**
 * What was accepted last: spec and the Connections' settings as they were then. After a bad edit all plans are made from it, so that what
 * runs is repaired and renewed like any other, also by an operator that never saw the good version.
 */
export interface Accepted {
  readonly uid: string;
  readonly generation: number;
  readonly hash: string;
  readonly spec: IntegrationSpec;
  readonly connections: ConnectionSettings;
}

export const planAccepted = (home: Home & { integration: { name: string } }, accepted: Accepted): KubeObject =>
  child(ConfigMaps, home, acceptedName(home.integration.name), {
    data: {
      uid: accepted.uid,
      generation: String(accepted.generation),
      hash: accepted.hash,
      'spec.json': canonicalJson(accepted.spec),
      'connections.json': canonicalJson(accepted.connections),
    },
  });

/** `undefined` for the record of an earlier object of the same name, and for one that is not whole. */
export const readAccepted = (config: KubeObject | undefined, uid?: string): Accepted | undefined => {
  const found = config && recordIn(config);
  return uid === undefined || found?.uid === uid ? found : undefined;
};

const recordIn = remembered((config: KubeObject): Accepted | undefined => {
  const data = (config['data'] ?? {}) as Readonly<Record<string, string>>;
  const { 'spec.json': spec, 'connections.json': connections, hash, generation } = data;
  if (!spec || !connections || !hash) return undefined;
  try {
    return {
      uid: data['uid'] ?? '',
      generation: Number(generation),
      hash,
      spec: JSON.parse(spec) as IntegrationSpec,
      connections: JSON.parse(connections) as ConnectionSettings,
    };
  } catch {
    // Somebody wrote into it: as good as none, the next accepted spec replaces it.
    return undefined;
  }
});
