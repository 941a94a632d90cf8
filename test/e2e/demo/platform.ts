import { join } from 'node:path';
import { ensureBinaries } from '../../cluster/binaries.ts';
import { run } from '../../cluster/command.ts';
import { projectImages } from '../../cluster/images/build.ts';
import { type Kubectl, kubectlFor, mustKubectl } from '../../cluster/kubectl.ts';
import { mainLayout, type NodeLayout } from '../../cluster/node/layout.ts';
import type { Provider } from '../../cluster/providers/provider.ts';
import type { Report } from './report.ts';

/* Everything below the demo: a cluster, our images in it, and the chart as a platform team installs it. */
export const systemNamespace = 'kanava-system';
const release = 'kanava';
export const kanavaChart = join(import.meta.dirname, '../../../charts/kanava');

export interface Platform {
  readonly provider: Provider;
  readonly kubectl: Kubectl;
  readonly kubectlPath: string;
  readonly helmPath: string;
  /** Addresses that requests of this machine come from, where it reaches the pods without a detour. */
  readonly hostRanges: readonly string[];
  /** Pods and Services, where they are known: closed to tenants. */
  readonly closedRanges: readonly string[];
}

/** The provider's cluster, as it is. `layout` is that of the native node. */
export const platformOf = async (provider: Provider, layout: NodeLayout = mainLayout): Promise<Platform> => {
  const { kubectl, helm } = await ensureBinaries(['kubectl', 'helm']);
  const native = provider.name === 'native';
  return {
    provider,
    kubectl: kubectlFor(kubectl, provider.kubeconfig),
    kubectlPath: kubectl,
    helmPath: helm,
    hostRanges: native ? [`${layout.hostAddress}/32`, `${layout.nodeAddress}/32`] : [],
    closedRanges: native ? [layout.podRange, layout.serviceRange] : [],
  };
};

/** Builds what is new and loads what the cluster lacks. Returns the references by image. */
export const provideImages = async ({ provider }: Platform, report: Report): Promise<Record<string, string>> => {
  const images = await projectImages(report.note);
  await provider.load(Object.values(images), report.note);
  return Object.fromEntries(Object.entries(images).map(([name, { ref }]) => [name, ref]));
};

/** What the chart has to be told of this cluster. */
export const chartValues = (platform: Platform, images: Record<string, string>) => ({
  images: {
    operator: imageOf(images['operator']),
    runtime: imageOf(images['runtime']),
    nats: imageOf(images['nats']),
  },
  network: { closedRanges: platform.closedRanges, nodeRanges: platform.hostRanges },
});

export const installChart = async (platform: Platform, images: Record<string, string>): Promise<void> => {
  const { kubectl } = platform;
  await mustKubectl(kubectl, ['apply', '--server-side', '-f', '-'], {
    stdin: JSON.stringify(namespaceObject(systemNamespace)),
  });
  const { code, stderr, stdout } = await runHelm(
    platform,
    ['upgrade', '--install', release, kanavaChart, '--wait', '--timeout', '3m', '--reset-values', '--values', '-'],
    JSON.stringify(chartValues(platform, images)),
  );
  if (code === 0) return;
  const pods = await kubectl(['get', 'pods', '--namespace', systemNamespace]);
  const events = await kubectl(['get', 'events', '--namespace', systemNamespace, '--sort-by=.lastTimestamp']);
  throw new Error(`helm upgrade --install failed:\n${stderr || stdout}\n${pods.stdout}\n${events.stdout}`);
};

/** The release, its namespace with keys and volume, and the CRDs, which Helm keeps. */
export const uninstallChart = async (platform: Platform): Promise<void> => {
  const { kubectl } = platform;
  await runHelm(platform, ['uninstall', release, '--wait', '--timeout', '2m', '--ignore-not-found']);
  await mustKubectl(kubectl, ['delete', 'namespace', systemNamespace, '--ignore-not-found', '--timeout=90s'], {
    timeout: 100_000,
  });
  const crds = ['tenants', 'connections', 'integrations'].map((plural) => `${plural}.kanava.dev`);
  await mustKubectl(kubectl, ['delete', 'crd', ...crds, '--ignore-not-found', '--timeout=60s'], { timeout: 70_000 });
};

/** Into the operator's namespace, unless `args` name another. */
export const runHelm = ({ helmPath, provider }: Platform, args: string[], stdin?: string) =>
  run(helmPath, ['--kubeconfig', provider.kubeconfig, '--namespace', systemNamespace, ...args], {
    timeout: 200_000,
    ...(stdin === undefined ? {} : { stdin }),
  });

/** Every pod in it must be `restricted`. */
export const namespaceObject = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name,
    labels: Object.fromEntries(
      ['enforce', 'audit', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
    ),
  },
});

const imageOf = (ref: string | undefined) => {
  const [repository, tag] = (ref ?? '').split(/:(?=[^/]*$)/);
  if (!repository || !tag) throw new Error(`an image has no reference with a tag: ${ref}`);
  return { repository, tag };
};
