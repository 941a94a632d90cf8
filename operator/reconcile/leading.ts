import { ApiError, type Broker, type TenantBroker } from './ports.ts';

/**
 * The broker as a leader may use it: each effect asks first. The transport does the same for Kubernetes. An operator that stood still
 * and lost its lease meanwhile writes nothing.
 */
export const whileLeading = (broker: Broker, isLeader: () => boolean): Broker => {
  const guard =
    <A extends unknown[], R>(effect: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (!isLeader()) throw new ApiError(0, 'NotLeader', 'not sent to NATS: this operator does not lead any more');
      return effect(...args);
    };
  const guardTenant = (tenant: TenantBroker): TenantBroker => ({
    ensureStream: guard(tenant.ensureStream),
    deleteStream: guard(tenant.deleteStream),
    streams: () => tenant.streams(),
    lastDeadLetter: (integration) => tenant.lastDeadLetter(integration),
    putRoutes: guard(tenant.putRoutes),
    deleteRoutes: guard(tenant.deleteRoutes),
    applied: (integration) => tenant.applied(integration),
  });
  return {
    newAccountKeys: () => broker.newAccountKeys(),
    ensureAccount: guard(broker.ensureAccount),
    deleteAccount: guard(broker.deleteAccount),
    credentials: (keys, role, integration, lifetimeMs) => broker.credentials(keys, role, integration, lifetimeMs),
    tenant: (keys) => guardTenant(broker.tenant(keys)),
    facts: () => broker.facts(),
  };
};
