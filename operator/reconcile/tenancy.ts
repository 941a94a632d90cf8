import { type EffectiveTenant, effectiveTenant } from '../api/effective.ts';
import { Integrations, Tenants } from '../api/meta.ts';
import { parseTenant } from '../api/parse.ts';
import { remembered } from '../api/remembered.ts';
import { readAccountKeys } from '../plan/account.ts';
import { tenantKeysName } from '../plan/children.ts';
import { Secrets } from '../plan/kinds.ts';
import { type Claim, claimWinner } from '../plan/namespace.ts';
import type { Context } from './context.ts';
import type { AccountKeys, Cluster, KubeObject } from './ports.ts';

/** A Tenant that holds its namespace. */
export interface Holder {
  readonly name: string;
  readonly object: KubeObject;
  readonly spec: EffectiveTenant;
}

/** Who claims a namespace. */
export const claimsOn = (cluster: Cluster, namespace: string): readonly Claim[] =>
  claimsBy(cluster.list(Tenants)).get(namespace) ?? [];
/** Of a list that stays the same until a Tenant changes: with hundreds of them nobody looks through all. */
const claimsBy = remembered((tenants: readonly KubeObject[]) => Map.groupBy(tenants.map(claimOf), claimed));
const claimed = ({ namespace }: Claim) => namespace;
const claimOf = (tenant: KubeObject): Claim => ({
  tenant: tenant.metadata.name,
  namespace: (tenant['spec'] as { namespace?: { name?: string } } | undefined)?.namespace?.name ?? '',
  since: tenant.metadata.creationTimestamp,
});

/** The Tenant of a namespace is never what an object in it says: it is the one that claimed it first and that has it. */
export const holderOf = (cluster: Cluster, namespace: string): Holder | undefined => {
  const name = claimWinner(namespace, claimsOn(cluster, namespace));
  const object = name === undefined ? undefined : cluster.cached(Tenants, name);
  const status = object?.['status'] as { namespace?: { name?: string } } | undefined;
  if (name === undefined || object === undefined || status?.namespace?.name !== namespace) return undefined;
  const parsed = parseTenant(object);
  return parsed.ok ? { name, object, spec: effectiveTenant(name, parsed.value.spec) } : undefined;
};

/** It was put in place as far as that Integrations can be, too. */
export const hasAccount = ({ object }: Holder): boolean =>
  (object['status'] as { account?: unknown } | undefined)?.account !== undefined;

export const accountKeysOf = async (
  { cluster, settings }: Context,
  tenant: string,
): Promise<AccountKeys | undefined> => {
  const secret = await cluster.get(Secrets, tenantKeysName(tenant), settings.namespace);
  return secret && readAccountKeys(secret);
};

/** An Integration's place among those of its namespace by age, from 1. */
export const positionOf = (cluster: Cluster, object: KubeObject): number => {
  const own = age(object);
  const others = cluster.list(Integrations, { namespace: object.metadata.namespace ?? '' });
  return 1 + others.filter((other) => age(other) < own).length;
};
const age = remembered(({ metadata }: KubeObject) => `${metadata.creationTimestamp ?? '9'} ${metadata.name}`);
