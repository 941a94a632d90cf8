import { type EffectiveTenant, effectiveTenant } from '../api/effective.ts';
import { Integrations, Tenants } from '../api/meta.ts';
import { parseTenant } from '../api/parse.ts';
import type { TenantStatus } from '../api/tenant.ts';
import type { Reconcile, ReconcileResult } from '../control/controller.ts';
import { isTrue, stampConditions, statusConditions, type Verdict, verdict } from '../plan/conditions.ts';
import { type TenantFacts, tenantVerdicts } from '../plan/tenant-conditions.ts';
import { announce } from './announce.ts';
import { applyStatus } from './apply.ts';
import { type Context, lookAgainMs } from './context.ts';
import type { KubeObject } from './ports.ts';
import { ensureGateway } from './tenant-gateway.ts';
import { ensureMessaging } from './tenant-messaging.ts';
import { ensureNamespace } from './tenant-namespace.ts';
import { ensurePolicies } from './tenant-policies.ts';
import { quotaTrouble } from './tenant-quota.ts';
import { releaseTenant } from './tenant-release.ts';
import { sayingTrouble } from './trouble.ts';

const waiting = (why: string) => ({
  namespace: verdict('NamespaceReady', 'Unknown', 'Waiting', why),
  policies: verdict('PoliciesReady', 'Unknown', 'Waiting', why),
  messaging: verdict('MessagingReady', 'Unknown', 'Waiting', why),
  capacity: verdict('CapacityOk', 'Unknown', 'NotChecked', why),
  durable: verdict('Durable', 'Unknown', 'NotChecked', why),
});

/** Each look asks NATS for the claims of the account. */
const lookRestMs = 250;

/** The wall, from the outside in: the namespace, what closes it, the account, and last the gateway that lets messages in. */
export const reconcileTenant =
  (context: Context): Reconcile =>
  async (name) => {
    const { cluster } = context;
    const object = await cluster.get(Tenants, name);
    return object && sayingTrouble(context, object, () => reconcile(context, object));
  };

const reconcile = async (context: Context, object: KubeObject): Promise<ReconcileResult | undefined> => {
  const { name } = object.metadata;
  if (object.metadata.deletionTimestamp) {
    context.accountLooks.forget(name);
    return releaseTenant(context, object);
  }
  const parsed = parseTenant(object);
  if (!parsed.ok) {
    const { reason, path, message } = parsed.finding;
    const accepted = verdict('Accepted', 'False', reason as 'Invalid', `${path}: ${message}`);
    return report(
      context,
      object,
      { ...waiting('the spec is not accepted'), accepted, suspended: false },
      known(object),
    );
  }
  const spec = effectiveTenant(name, parsed.value.spec);
  const accepted: Verdict<'Accepted'> = verdict('Accepted', 'True', 'Accepted');
  const facts = { ...waiting('the step before is not done'), accepted, suspended: spec.suspend };

  const namespace = await ensureNamespace(context, object, spec);
  if (!namespace.uid) {
    // Its RoleBinding goes with it, and the watch of its Secrets would only be refused.
    if (namespace.verdict.reason === 'Terminating') context.secretWatches.close(spec.namespace.name);
    const isReserved = namespace.verdict.reason === 'NamespaceReserved';
    const refused = verdict('Accepted', 'False', 'NamespaceReserved', namespace.verdict.message);
    return report(
      context,
      object,
      { ...facts, namespace: namespace.verdict, ...(isReserved ? { accepted: refused } : {}) },
      {},
    );
  }
  const held = { namespace: { name: spec.namespace.name, uid: namespace.uid } };
  const policies = await ensurePolicies(context, name, spec);
  if (policies.status !== 'True')
    return report(context, object, { ...facts, namespace: namespace.verdict, policies }, { ...known(object), ...held });
  const messaging = await ensureMessaging(context, object, spec);
  if (messaging.keys) await ensureGateway(context, object, spec, messaging.keys);
  const { keys: _keys, account, ...verdicts } = messaging;
  const counted = (await quotaTrouble(context, spec.namespace.name)) ?? policies;
  return report(
    context,
    object,
    { ...facts, namespace: namespace.verdict, policies: counted, ...verdicts },
    { ...known(object), ...held, ...(account && { account }), integrations: countIntegrations(context, spec) },
  );
};

/** What was known stays shown while it cannot be looked at: others go by it. */
const known = (object: KubeObject): Pick<TenantStatus, 'namespace' | 'account' | 'integrations'> => {
  const { namespace, account, integrations } = (object['status'] ?? {}) as TenantStatus;
  return { ...(namespace && { namespace }), ...(account && { account }), ...(integrations && { integrations }) };
};

const countIntegrations = ({ cluster }: Context, spec: EffectiveTenant): { total: number; ready: number } => {
  const all = cluster.list(Integrations, { namespace: spec.namespace.name });
  return { total: all.length, ready: all.filter(({ status }) => isTrue(statusConditions(status), 'Ready')).length };
};

const report = async (
  { cluster, now }: Context,
  object: KubeObject,
  facts: Omit<TenantFacts, 'generation'>,
  rest: Pick<TenantStatus, 'namespace' | 'account' | 'integrations'>,
) => {
  const generation = object.metadata.generation ?? 0;
  const previous = statusConditions(object['status']);
  const conditions = stampConditions(tenantVerdicts({ ...facts, generation }, previous), {
    previous,
    generation,
    now: now(),
  });
  await applyStatus(cluster, object, { observedGeneration: generation, conditions, ...rest });
  announce(cluster, object, conditions);
  return { requeueAfterMs: lookAgainMs(conditions, now(), { count: cluster.count(Tenants), restMs: lookRestMs }) };
};
