import { readFileSync } from 'node:fs';
import { z } from 'zod';

/*
 * Everything that the operator is told from outside, read once at start. The chart writes `config.json` into a ConfigMap and mounts keys
 * and credentials as files; only where these lie and who we are comes from the environment.
 */
const selector = z.strictObject({ namespace: z.string(), podLabels: z.record(z.string(), z.string()) });

export const configSchema = z.strictObject({
  /** Image of gateway, intake and worker pods, and how to pull it. */
  runtime: z.strictObject({
    image: z.string().min(1),
    imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
    imagePullSecrets: z.array(z.string()).default([]),
  }),
  nats: z.strictObject({
    /** `tls://nats.kanava-system.svc:4222`; what the operator and every tenant pod connect to. */
    url: z.string().min(1),
    /** Where tenant pods may open port 4222: pods of the managed server, or addresses of an external one. */
    network: z.union([selector, z.strictObject({ cidrs: z.array(z.string()).min(1) })]),
  }),
  network: z
    .strictObject({
      /** Pods that answer DNS. */
      dns: selector.default({ namespace: 'kube-system', podLabels: { 'k8s-app': 'kube-dns' } }),
      /** Pod, service and node ranges of this cluster: closed to tenants unless their Tenant lists them. */
      closedRanges: z.array(z.string()).default([]),
      /** Addresses that probes and scrapes of the node come from (host to pod). */
      nodeRanges: z.array(z.string()).default([]),
    })
    .prefault({}),
  credentials: z.strictObject({ lifetime: z.string().default('24h') }).prefault({}),
});
export type Config = z.infer<typeof configSchema>;

export interface Settings {
  readonly config: Config;
  /** The operator's own namespace: keys, leases, its pods. */
  readonly namespace: string;
  readonly podName: string;
  readonly serviceAccount: string;
  readonly logLevel: string;
  readonly healthPort: number;
  /** `operator.seed` (signing key of the NATS operator), `ctl.creds`, `meter.creds`, `system.account`, `ca.crt` (absent: no TLS). */
  readonly natsFolder: string;
}

export const readSettings = (env: NodeJS.ProcessEnv): Settings => {
  const file = env['KANAVA_CONFIG'] ?? '/etc/kanava-operator/config.json';
  const parsed = configSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success)
    throw new Error(`${file} is not a valid operator configuration: ${z.prettifyError(parsed.error)}`);
  return {
    config: parsed.data,
    namespace: required(env, 'KANAVA_NAMESPACE'),
    podName: required(env, 'KANAVA_POD_NAME'),
    serviceAccount: required(env, 'KANAVA_SERVICE_ACCOUNT'),
    logLevel: env['KANAVA_LOG_LEVEL'] ?? 'info',
    healthPort: Number(env['KANAVA_HEALTH_PORT'] ?? '8081'),
    natsFolder: env['KANAVA_NATS_FOLDER'] ?? '/etc/kanava-operator/nats',
  };
};

const required = (env: NodeJS.ProcessEnv, name: string): string => {
  const value = env[name];
  if (!value) throw new Error(`${name} is not set; the chart sets it from the pod's own fields`);
  return value;
};
