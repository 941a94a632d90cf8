import { ApiError, type Broker, type TenantBroker } from './ports.ts';

/**
 * The broker as a leader may use it: each effect asks first. The transport does the same for Kubernetes. An operator that stood still
 * and lost its lease meanwhile writes nothing.
 */
export const whileLeading = (broker: Broker, isLeader: () => boolean): Broker => {
  const guard =
    <A extends unknown[], R>(effect: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      isLeader()
        ? effect(...args)
        : Promise.reject(new ApiError(0, 'NotLeader', 'not sent to NATS: this operator does not lead any more'));
  const guardTenant = (tenant: TenantBroker): TenantBroker => ({
    ...tenant,
    ensureStream: guard((spec, options) => tenant.ensureStream(spec, options)),
    deleteConsumer: guard((stream, name) => tenant.deleteConsumer(stream, name)),
    ensureSchedules: guard((integration, schedules) => tenant.ensureSchedules(integration, schedules)),
    putRoutes: guard((routes, options) => tenant.putRoutes(routes, options)),
    deleteRoutes: guard((integration) => tenant.deleteRoutes(integration)),
    sweepRoutes: guard((served) => tenant.sweepRoutes(served)),
    sweepBodies: guard((integration, options) => tenant.sweepBodies(integration, options)),
  });
  return {
    ...broker,
    ensureAccount: guard((tenant, keys, limits, options) => broker.ensureAccount(tenant, keys, limits, options)),
    releaseIntegration: guard((tenant, keys, integration, options) =>
      broker.releaseIntegration(tenant, keys, integration, options),
    ),
    deleteAccount: guard((tenant, keys, options) => broker.deleteAccount(tenant, keys, options)),
    tenant: (keys) => guardTenant(broker.tenant(keys)),
  };
};
