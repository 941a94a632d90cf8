import type { EffectiveTenant } from '../api/effective.ts';
import type { Settings } from '../settings.ts';
import { type Component, childLabels, type Home } from './children.ts';

/* What all pods have in common: Pod Security `restricted`, fixed paths, probes, and the tenant's placement. */
export const podDefaults = {
  requests: { cpu: '50m', memory: '96Mi' },
  limits: { memory: '256Mi' },
} as const;
export const runtimeFolder = '/etc/kanava';
/** Beside it: nothing can be mounted into a volume that others keep writing. */
const volumesFolder = '/volumes';
export const healthPort = 8081;
/** Files are readable by the group of the pod, which is ours, and by nobody else. */
export const fileMode = 0o440;
const userId = 10001;
const graceSeconds = 30;

/** One ReplicaSet is kept for a roll-back by hand; each that is kept keeps its flow. */
export const rollout = {
  revisionHistoryLimit: 1,
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
} as const;

/** Ours win over a user's: selectors, policies and watches go by them. */
export const podTemplateLabels = (
  home: Home,
  component: Component,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> => ({ ...extra, ...childLabels(home, component) });

export interface PodSettings {
  readonly resources: {
    readonly requests: Readonly<Record<string, string | number>>;
    readonly limits: Readonly<Record<string, string | number>>;
  };
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly unknown[];
  readonly priorityClassName: string;
}
const noSettings: PodSettings = {
  resources: { requests: {}, limits: {} },
  nodeSelector: {},
  tolerations: [],
  priorityClassName: '',
};

export interface PodPlan {
  readonly component: Component;
  readonly serviceAccount: string;
  readonly settings: Settings;
  readonly tenant: EffectiveTenant;
  readonly podSettings?: PodSettings;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumes: readonly Record<string, unknown>[];
  readonly mounts: readonly { readonly name: string; readonly mountPath: string }[];
  /** PersistentVolumeClaims that it reads and writes. */
  readonly claims?: readonly string[];
}

export const podSpec = (plan: PodPlan): Record<string, unknown> => {
  const { runtime } = plan.settings.config;
  const asked = plan.podSettings ?? noSettings;
  const { claims = [] } = plan;
  const { workload } = plan.tenant;
  const { tolerations } = asked;
  const nodeSelector = { ...asked.nodeSelector, ...workload.nodeSelector };
  return {
    serviceAccountName: plan.serviceAccount,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: graceSeconds,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: userId,
      runAsGroup: userId,
      fsGroup: userId,
      // Else the kubelet goes through all files of a volume at each start.
      ...(claims.length > 0 ? { fsGroupChangePolicy: 'OnRootMismatch' } : {}),
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...(runtime.imagePullSecrets.length > 0
      ? { imagePullSecrets: runtime.imagePullSecrets.map((name) => ({ name })) }
      : {}),
    ...(Object.keys(nodeSelector).length > 0 ? { nodeSelector } : {}),
    ...(tolerations.length > 0 ? { tolerations } : {}),
    ...(asked.priorityClassName ? { priorityClassName: asked.priorityClassName } : {}),
    ...(workload.runtimeClassName ? { runtimeClassName: workload.runtimeClassName } : {}),
    containers: [container(plan, asked)],
    volumes: [...plan.volumes, ...claims.map(claimVolume)],
  };
};

const container = (plan: PodPlan, asked: PodSettings): Record<string, unknown> => {
  const { runtime } = plan.settings.config;
  return {
    name: plan.component,
    image: runtime.image,
    imagePullPolicy: runtime.imagePullPolicy,
    // The image's own entry point is the program.
    args: [plan.component],
    env: Object.entries({ ...plan.env, KANAVA_HEALTH_PORT: String(healthPort) }).map(([name, value]) => ({
      name,
      value,
    })),
    ports: [...plan.ports, { name: 'health', containerPort: healthPort }],
    resources: {
      requests: amounts({ ...podDefaults.requests, ...asked.resources.requests }),
      limits: amounts({ ...podDefaults.limits, ...asked.resources.limits }),
    },
    // On a busy node an answer may take longer than the one second that Kubernetes waits by itself.
    readinessProbe: {
      httpGet: { path: '/readyz', port: 'health' },
      periodSeconds: 2,
      timeoutSeconds: 3,
      failureThreshold: 3,
    },
    livenessProbe: {
      httpGet: { path: '/healthz', port: 'health' },
      initialDelaySeconds: 10,
      periodSeconds: 10,
      failureThreshold: 6,
      timeoutSeconds: 5,
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      ...plan.mounts.map((mount) => ({ ...mount, readOnly: true })),
      ...(plan.claims ?? []).map((claim, index) => ({
        name: claimVolume(claim, index).name,
        mountPath: `${volumesFolder}/${claim}`,
      })),
    ],
  };
};

/** Whole, never by subPath: what a link inside leads to is not the kubelet's to follow. */
const claimVolume = (claim: string, index: number) => ({
  name: `volume-${index}`,
  persistentVolumeClaim: { claimName: claim },
});

const amounts = (resources: Readonly<Record<string, string | number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(resources).map(([name, amount]) => [name, String(amount)]));
