import type { EffectiveTenant } from '../api/effective.ts';
import { rememberedWith } from '../api/remembered.ts';
import { type Verdict, verdict } from '../plan/conditions.ts';
import { Namespaces } from '../plan/kinds.ts';
import { namespaceRefusal, planNamespace } from '../plan/namespace.ts';
import { applyChild } from './apply.ts';
import type { Context } from './context.ts';
import type { KubeObject } from './ports.ts';
import { claimsOn } from './tenancy.ts';

export const ensureNamespace = async (
  { cluster, settings }: Context,
  object: KubeObject,
  spec: EffectiveTenant,
): Promise<{ verdict: Verdict<'NamespaceReady'>; uid?: string }> => {
  const { name } = object.metadata;
  const refusal = namespaceRefusal({
    tenant: name,
    namespace: spec.namespace.name,
    adopt: spec.namespace.adopt,
    operatorNamespace: settings.namespace,
    claims: claimsOn(cluster, spec.namespace.name),
    live: await cluster.get(Namespaces, spec.namespace.name),
  });
  if (refusal) return { verdict: verdict('NamespaceReady', 'False', refusal.reason, refusal.message) };
  const planned = namespaces(spec, [name], () => planNamespace(name, spec.namespace.name));
  const stored = await applyChild(cluster, planned);
  return { verdict: verdict('NamespaceReady', 'True', 'Ready'), uid: stored.metadata.uid ?? '' };
};

const namespaces = rememberedWith<KubeObject>();
