import type { Resolved } from '../plan/acceptance.ts';
import { intakeCredentialsName, intakeName } from '../plan/children.ts';
import { Deployments, Secrets, ServiceAccounts } from '../plan/kinds.ts';
import { applyChild } from './apply.ts';
import type { Context } from './context.ts';
import { ensureCredentials } from './credentials.ts';
import type { AccountKeys, KubeObject } from './ports.ts';
import type { Holder } from './tenancy.ts';
import { homeOf, intakeOf } from './worker-of.ts';

/** The pod that fetches, or nothing of it where nothing is to be fetched any more. Returns its Deployment. */
export const ensureIntake = async (
  context: Context,
  object: KubeObject,
  holder: Holder,
  basis: Resolved,
  keys: AccountKeys,
): Promise<KubeObject | undefined> => {
  const { cluster } = context;
  const { name, namespace = '' } = object.metadata;
  const planned = intakeOf(context, object, holder, basis);
  if (!planned) {
    if (!cluster.cached(Deployments, intakeName(name), namespace)) return undefined;
    // The Deployment last: as long as it is there, the others are looked for.
    await cluster.delete(Secrets, intakeCredentialsName(name), namespace);
    await cluster.delete(ServiceAccounts, intakeName(name), namespace);
    await cluster.delete(Deployments, intakeName(name), namespace);
    return undefined;
  }
  await ensureCredentials(context, homeOf(object, holder), { name: intakeCredentialsName(name), role: 'intake' }, keys);
  await applyChild(cluster, planned.serviceAccount);
  return applyChild(cluster, planned.deployment);
};
