import { bucketStream, gatewayBucket } from '../../runtime/nats/names.ts';
import type { Condition } from '../api/fields.ts';
import { Connections, Integrations, Tenants } from '../api/meta.ts';
import { isSameJson } from '../plan/canonical.ts';
import {
  acceptedName,
  busGapSeenAnnotation,
  gatewaySecretsName,
  integrationLabel,
  managedByLabel,
  tenantLabel,
} from '../plan/children.ts';
import { isTrue, statusConditions } from '../plan/conditions.ts';
import { Deployments } from '../plan/kinds.ts';
import { replicasOf } from '../plan/scaling.ts';
import type { OwnRoutes } from './own-routes.ts';
import type { Cluster, KubeObject, LagReport } from './ports.ts';
import { claimsOn, holderOf } from './tenancy.ts';

/* Which keys look again when something changes. Level-triggered reconcilers may be woken too often, never too seldom. */
export interface Keys {
  tenant(name: string): void;
  integration(key: string): void;
  connection(key: string): void;
  /** A Secret that pods may have mounted has other values. */
  mountedSecret(key: string): void;
}
/** To look at a key when there is nothing better to do. */
export interface Looks {
  look(key: string): void;
}
export interface Change {
  readonly type: 'added' | 'updated' | 'deleted';
  readonly object: KubeObject;
  readonly previous?: KubeObject;
  /** The answer to a write of our own: who wrote it has gone on by it, and only others need to look. */
  readonly isOwn?: boolean;
  /** It is of a first list that everybody waits for who reads it. */
  readonly isFirst?: boolean;
}

export const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;
/** Our own status and finalizers come back as updates; nothing has to be done about them. */
const isMore = ({ type, object, previous, isOwn = false }: Change): boolean =>
  !isOwn &&
  (type !== 'updated' ||
    object.metadata.generation !== previous?.metadata.generation ||
    object.metadata.deletionTimestamp !== previous?.metadata.deletionTimestamp ||
    object.metadata.annotations?.[busGapSeenAnnotation] !== previous?.metadata.annotations?.[busGapSeenAnnotation] ||
    object.metadata.finalizers?.length !== previous?.metadata.finalizers?.length);
const readiness = (object: KubeObject | undefined): boolean => isTrue(statusConditions(object?.['status']), 'Ready');

export const wakers = (cluster: Cluster, keys: Keys) => {
  const everythingIn = (namespace: string) => {
    for (const object of cluster.list(Integrations, { namespace })) keys.integration(keyOf(object));
    for (const object of cluster.list(Connections, { namespace })) keys.connection(keyOf(object));
  };
  const tenantsOf = (namespace: string | undefined) => {
    if (namespace === undefined) return;
    for (const { tenant } of claimsOn(cluster, namespace)) keys.tenant(tenant);
  };
  return {
    tenant: (change: Change) => {
      const namespace = claimed(change.object);
      if (isMore(change)) keys.tenant(change.object.metadata.name);
      // The namespace of an older claim that is gone falls to the next.
      if (change.type !== 'updated') tenantsOf(namespace);
      if (namespace && (isMore(change) || statusText(change.object) !== statusText(change.previous)))
        everythingIn(namespace);
    },
    integration: (change: Change) => {
      const { namespace = '' } = change.object.metadata;
      const changed = isMore(change);
      if (changed) {
        keys.integration(keyOf(change.object));
        for (const connection of cluster.list(Connections, { namespace })) keys.connection(keyOf(connection));
      }
      if (changed || readiness(change.object) !== readiness(change.previous)) tenantsOf(namespace);
    },
    connection: (change: Change) => {
      if (!isMore(change)) return;
      keys.connection(keyOf(change.object));
      for (const object of cluster.list(Integrations, { namespace: change.object.metadata.namespace ?? '' }))
        keys.integration(keyOf(object));
    },
    child: (change: Change) => {
      const { object, isOwn = false } = change;
      const { labels = {}, namespace, name } = object.metadata;
      const integration = labels[integrationLabel];
      if (integration !== undefined && (!isOwn || isRescaled(change))) keys.integration(`${namespace}/${integration}`);
      // The gateway serves what was accepted.
      const isAccepted = integration !== undefined && name === acceptedName(integration);
      const tenant = labels[tenantLabel];
      if (tenant !== undefined && (isAccepted || (integration === undefined && !isOwn))) keys.tenant(tenant);
    },
    secret: (change: Change) => {
      const { metadata } = change.object;
      const { namespace = '', name } = metadata;
      const isOurs = metadata.labels?.[managedByLabel] === 'kanava';
      if (change.isFirst) {
        if (!isOurs && hasNewValues(change)) keys.mountedSecret(keyOf(change.object));
        return;
      }
      if (isOurs && name !== gatewaySecretsName) return wakersOfOwnSecret(change, keys);
      if (hasNewValues(change)) keys.mountedSecret(keyOf(change.object));
      // Who needed it put it together.
      if (isOurs && change.isOwn) return;
      everythingIn(namespace);
      const tenant = holderOf(cluster, namespace);
      if (tenant) keys.tenant(tenant.name);
    },
    namespace: ({ object }: Change) => tenantsOf(object.metadata.name),
  };
};

/** The scaler writes no status. That it took over the number as it is, is no news. */
const isRescaled = ({ type, object, previous }: Change): boolean =>
  object.kind === Deployments.kind && type === 'updated' && replicasOf(object) !== (previous && replicasOf(previous));

const freshMs = 120_000;
/** One that is added was there before the watch, or somebody replaced it just now: then pods still have the old one. */
const hasNewValues = ({ type, object, previous }: Change): boolean => {
  if (type === 'added') return Date.now() - Date.parse(object.metadata.creationTimestamp ?? '') < freshMs;
  return type === 'updated' && !isSameJson(object['data'] ?? {}, previous?.['data'] ?? {});
};

/** NATS went away or came back, and no object tells of it. */
export const everybody = (cluster: Cluster, keys: Pick<Keys, 'tenant'> & Looks) => (): void => {
  for (const { metadata } of cluster.list(Tenants)) keys.tenant(metadata.name);
  for (const object of cluster.list(Integrations)) keys.look(keyOf(object));
};

/** The gateway writes into its bucket what it has taken up: who waits for that looks again. */
export const waitingForGateway =
  (cluster: Cluster, keys: Looks, own: Pick<OwnRoutes, 'isAllOwn'>) =>
  ({ changed }: Pick<LagReport, 'changed'>): void => {
    const moved = changed.filter(({ stream }) => stream === gatewayStream);
    const accounts = new Set(
      moved.filter(({ account, lastSequence }) => !own.isAllOwn(account, lastSequence)).map(({ account }) => account),
    );
    for (const tenant of accounts.size > 0 ? cluster.list(Tenants) : []) {
      const namespace = claimed(tenant);
      if (namespace === undefined || !accounts.has(accountOf(tenant) ?? '')) continue;
      for (const object of cluster.list(Integrations, { namespace }))
        if (statusConditions(object['status']).some(isWaitingForGateway)) keys.look(keyOf(object));
    }
  };
const gatewayStream = bucketStream(gatewayBucket);
const isWaitingForGateway = ({ type, reason }: Condition) => type === 'Ready' && reason === 'GatewayNotReady';

/** Streams give no events: the tenant whose account has lost one looks at its own. Those of Integrations the scaler knows. */
export const brokenAccounts =
  (cluster: Cluster, keys: Pick<Keys, 'tenant'>) =>
  ({ gone }: Pick<LagReport, 'gone'>): void => {
    const broken = new Set(gone.map(({ account }) => account));
    if (broken.size === 0) return;
    for (const tenant of cluster.list(Tenants))
      if (broken.has(accountOf(tenant) ?? '')) keys.tenant(tenant.metadata.name);
  };

const wakersOfOwnSecret = ({ object, isOwn }: Change, keys: Keys): void => {
  if (isOwn) return;
  const { labels = {}, namespace } = object.metadata;
  const integration = labels[integrationLabel];
  const tenant = labels[tenantLabel];
  if (integration !== undefined) keys.integration(`${namespace}/${integration}`);
  else if (tenant !== undefined) keys.tenant(tenant);
};

const accountOf = ({ status }: KubeObject): string | undefined =>
  (status as { account?: { id?: string } } | undefined)?.account?.id;
const claimed = (tenant: KubeObject): string | undefined =>
  (tenant['spec'] as { namespace?: { name?: string } } | undefined)?.namespace?.name;
/** What the objects in its namespace go by. */
const statusText = (tenant: KubeObject | undefined): string => {
  const status = tenant?.['status'] as { namespace?: { uid?: string }; account?: { id?: string } } | undefined;
  return `${status?.namespace?.uid} ${status?.account?.id}`;
};
