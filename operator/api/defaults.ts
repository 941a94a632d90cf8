/*
 * What absent fields mean. The CRDs have no defaults (a stored default would be frozen for ever), so this is their one place:
 * plans, rules that compare effective values, and the docs read it.
 */
export const integrationDefaults = {
  suspend: false,
  delivery: {
    timeout: '30s',
    retry: { attempts: 5, backoff: { initial: '1s', max: '5m' } },
    ordering: 'None',
    partitions: 1,
    concurrency: 64,
  },
  inbox: {
    maxBytes: '32Mi',
    storage: 'File',
    replicas: 1,
    /** Of one that is there. */
    largeBodies: { largest: '100Mi', maxBytes: '1Gi' },
  },
  deadLetter: { retention: '168h', maxBytes: '16Mi' },
  scaling: { mode: 'Auto', minReplicas: 0, maxReplicas: 10, lagPerReplica: 100, idleAfter: '60s' },
  deletionPolicy: 'Retain',
} as const;

export const tenantDefaults = {
  suspend: false,
  namespace: { adopt: false },
  quota: { integrations: 20, replicas: 40 },
  messaging: {
    storage: '2Gi',
    memory: 0,
    streams: 100,
    connections: 200,
    maxPayload: '1Mi',
    replicas: 1,
    bus: { maxBytes: '64Mi', retention: '168h' },
  },
  gateway: { replicas: 1 },
  deletionPolicy: 'Retain',
} as const;
