import { roles } from '../../runtime/nats/names.ts';
import type { EffectiveTenant } from '../api/effective.ts';
import { remembered } from '../api/remembered.ts';
import type { AccountKeys, AccountLimits, KubeObject } from '../reconcile/ports.ts';
import { child, tenantKeysName } from './children.ts';
import { Secrets } from './kinds.ts';

export const planAccountLimits = ({ messaging }: EffectiveTenant): AccountLimits => ({
  connections: messaging.connections,
  storage: messaging.storage,
  memory: messaging.memory,
  streams: messaging.streams,
  maxPayload: messaging.maxPayload,
});

/* The seeds of an account lie in one Secret of the operator's namespace: losing them would orphan the tenant's streams. */

export const planAccountKeys = (tenant: string, operatorNamespace: string, keys: AccountKeys): KubeObject =>
  child(Secrets, { tenant, namespace: operatorNamespace }, tenantKeysName(tenant), {
    type: 'Opaque',
    data: secretData({
      account: keys.account,
      'account.seed': keys.accountSeed,
      ...Object.fromEntries(roles.map((role) => [`${role}.seed`, keys.signing[role]])),
    }),
  });

/**
 * `undefined` when the Secret is not whole: it is then never overwritten, since the seeds may be all there is. Of the same Secret always the
 * same keys, by which claims, signers and looks at the account are remembered.
 */
export const readAccountKeys = remembered((secret: KubeObject): AccountKeys | undefined => {
  const data = (secret['data'] ?? {}) as Readonly<Record<string, string>>;
  const value = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  const keys: AccountKeys = {
    account: value('account'),
    accountSeed: value('account.seed'),
    signing: {
      worker: value('worker.seed'),
      intake: value('intake.seed'),
      gateway: value('gateway.seed'),
      ops: value('ops.seed'),
      replay: value('replay.seed'),
    },
  };
  const whole = [keys.account, keys.accountSeed, ...Object.values(keys.signing)].every((text) => text !== '');
  return whole ? keys : undefined;
});

export const secretData = (values: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
