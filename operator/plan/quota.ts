import type { EffectiveTenant } from '../api/effective.ts';
import type { KubeObject } from '../reconcile/ports.ts';
import { child, type Home } from './children.ts';
import { LimitRanges, ResourceQuotas } from './kinds.ts';
import { podDefaults } from './pods.ts';

/**
 * Pods beyond `quota.replicas`: each Integration may have one that fetches, and while Deployments roll each of the others brings up one more
 * than it has. Without the room a tenant that uses all of its quota could never roll anything out.
 */
export const surgePods = (quota: EffectiveTenant['quota'], gatewayReplicas: number): number =>
  quota.replicas + 2 * quota.integrations + gatewayReplicas + 1;

export const quotaName = 'kanava';

/**
 * What a quota limits and does not count. Kubernetes' quota controller learns of a new CRD up to 30 s late; a quota that is older than that
 * knowledge has no count of the kind, every object of it is refused ("status unknown for quota"), and the next look is minutes away.
 */
export const uncounted = (quota: KubeObject): string[] => {
  const { hard = {}, used = {} } = (quota['status'] ?? {}) as Record<
    'hard' | 'used',
    Record<string, string> | undefined
  >;
  return Object.keys(hard).filter((name) => used[name] === undefined);
};

export const planQuota = (home: Home, tenant: EffectiveTenant): KubeObject[] => [
  child(ResourceQuotas, home, quotaName, {
    spec: {
      hard: {
        ...Object.fromEntries(Object.entries(tenant.quota.compute).map(([name, amount]) => [name, String(amount)])),
        pods: String(surgePods(tenant.quota, tenant.gateway.replicas)),
        'count/integrations.kanava.dev': String(tenant.quota.integrations),
      },
    },
  }),
  // A quota on compute refuses pods without requests or limits: these are theirs. CPU is limited only where the quota asks for it.
  child(LimitRanges, home, 'kanava', {
    spec: {
      limits: [
        {
          type: 'Container',
          default: { ...podDefaults.limits, ...('limits.cpu' in tenant.quota.compute ? { cpu: '1' } : {}) },
          defaultRequest: podDefaults.requests,
        },
      ],
    },
  }),
];
