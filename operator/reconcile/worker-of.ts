import type { Resolved } from '../plan/acceptance.ts';
import { flowName } from '../plan/children.ts';
import { planWorker } from '../plan/worker.ts';
import type { Context } from './context.ts';
import type { KubeObject } from './ports.ts';
import type { Holder } from './tenancy.ts';

export const homeOf = ({ metadata }: KubeObject, holder: Holder) => ({
  tenant: holder.name,
  namespace: metadata.namespace ?? '',
  integration: { name: metadata.name, uid: metadata.uid ?? '' },
});

export const workerOf = ({ settings, natsCa }: Context, object: KubeObject, holder: Holder, basis: Resolved) =>
  planWorker({
    home: homeOf(object, holder),
    spec: basis.spec,
    tenant: holder.spec,
    settings,
    nats: { tls: natsCa !== undefined },
    flow: flowName(object.metadata.name, basis.hash),
    references: basis.workerReferences,
  });

/** Suspending is obeyed even when the rest of the spec cannot be used. */
export const isSuspended = (object: KubeObject): boolean =>
  (object['spec'] as { suspend?: unknown } | undefined)?.suspend === true;
