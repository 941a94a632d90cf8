import type { Home } from '../plan/children.ts';
import { isRenewalDue, planCredentials } from '../plan/credentials.ts';
import { Secrets } from '../plan/kinds.ts';
import { applyChild } from './apply.ts';
import type { Context } from './context.ts';
import type { AccountKeys } from './ports.ts';

/** Sees to it that a Secret with credentials is there and has a third of its life left. Signing needs no NATS server. */
export const ensureCredentials = async (
  { cluster, broker, credentialsMs, now }: Context,
  home: Home,
  secret: { readonly name: string; readonly role: 'worker' | 'intake' | 'gateway' | 'replay' },
  keys: AccountKeys,
): Promise<void> => {
  const live = await cluster.get(Secrets, secret.name, home.namespace);
  if (!isRenewalDue(live, keys.account, credentialsMs, now())) return;
  const issued = await broker.credentials(keys, secret.role, home.integration, credentialsMs);
  const component = secret.role === 'replay' ? undefined : secret.role;
  await applyChild(cluster, planCredentials(home, secret.name, component, { ...issued, account: keys.account }));
};
