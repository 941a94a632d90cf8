import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { type TenantName, tenantNames } from './expectations.ts';
import { namespaceObject, type Platform, runHelm } from './platform.ts';

/* What the demo puts into the cluster: the files of examples/github-issues, a secret of its own for each tenant, and the receiver. */
export const integration = 'github-issues';
export const receiverNamespace = 'demo-receiver';
/** The third tenant, and the Helm release that makes it. */
export const shop = 'shop';
export const shopRelease = 'tenant-shop';
const examples = join(import.meta.dirname, '../../../examples/github-issues');

interface TenantObject {
  kind: string;
  spec: { network: Record<string, unknown> };
}

export const applyObjects = async ({ kubectl }: Platform, objects: readonly unknown[]): Promise<void> => {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await mustKubectl(kubectl, ['apply', '--server-side', '--field-manager=demo', '-f', '-'], {
    stdin: JSON.stringify(list),
  });
};
const waitFor = ({ kubectl }: Platform, args: string[]) =>
  mustKubectl(kubectl, ['wait', '--timeout=90s', ...args], { timeout: 100_000 });

/** Removes the demo's tenants with all that is theirs, and waits until it is gone. */
export const removeTenants = async (platform: Platform): Promise<void> => {
  const { kubectl } = platform;
  const names = [...tenantNames, shop];
  // Helm's record of the release; the tenant itself goes with the others.
  await runHelm(platform, ['uninstall', shopRelease, '--ignore-not-found', '--timeout', '90s']);
  await deleteAny(platform, 'tenants.kanava.dev', [...names, '--ignore-not-found']);
  await mustKubectl(kubectl, ['wait', '--for=delete', ...names.map((name) => `namespace/${name}`), '--timeout=90s'], {
    timeout: 100_000,
  });
};

/** Also what somebody made beside the demo, and what a Tenant would leave: without the operator nobody could take it away. */
export const removeAllTenants = async (platform: Platform): Promise<void> => {
  await removeTenants(platform);
  await deleteAny(platform, 'integrations.kanava.dev', ['--all', '--all-namespaces']);
  await deleteAny(platform, 'tenants.kanava.dev', ['--all']);
};

const deleteAny = async ({ kubectl }: Platform, crd: string, which: readonly string[]): Promise<void> => {
  const served = await kubectl(['get', 'crd', crd, '--ignore-not-found', '-o', 'name']);
  if (served.stdout.trim() === '') return;
  await mustKubectl(kubectl, ['delete', crd, ...which, '--timeout=90s'], { timeout: 100_000 });
};

/** Requests of this machine come from outside the cluster, so the gateways must be opened to it. */
export const applyTenants = async (platform: Platform): Promise<void> => {
  const tenants = read('tenants.yaml') as TenantObject[];
  for (const { spec } of tenants) spec.network['ingressFrom'] = platform.hostRanges.map((cidr) => ({ cidr }));
  await applyObjects(platform, tenants);
  await waitFor(platform, ['--for=condition=Ready', ...tenantNames.map((name) => `tenants.kanava.dev/${name}`)]);
};

/** The same secret is in GitHub's settings; here it lives as long as the demo. */
export const applyIntegration = async (platform: Platform, tenant: TenantName): Promise<string> => {
  const secret = (await existingSecret(platform, tenant)) ?? randomBytes(20).toString('hex');
  const github = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'github', namespace: tenant },
    stringData: { 'webhook-secret': secret },
  };
  await applyObjects(platform, [github, ...read(`${tenant}.yaml`)]);
  await waitFor(platform, ['--for=condition=Ready', `integrations.kanava.dev/${integration}`, '-n', tenant]);
  return secret;
};

/** Of tenants that were kept. */
const existingSecret = async ({ kubectl }: Platform, tenant: TenantName): Promise<string | undefined> => {
  const path = '{.data.webhook-secret}';
  const { code, stdout } = await kubectl(['get', 'secret', 'github', '-n', tenant, '-o', `jsonpath=${path}`]);
  return code === 0 && stdout !== '' ? Buffer.from(stdout, 'base64').toString() : undefined;
};

export const applyReceiver = async (platform: Platform, image: string): Promise<void> => {
  const labels = { 'app.kubernetes.io/name': 'receiver' };
  const metadata = { name: 'receiver', namespace: receiverNamespace, labels };
  const container = {
    name: 'receiver',
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/app/receiver.mjs'],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 1 },
    resources: { requests: { cpu: '20m', memory: '48Mi' }, limits: { memory: '256Mi' } },
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
  };
  await applyObjects(platform, [namespaceObject(receiverNamespace)]);
  await applyObjects(platform, [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            terminationGracePeriodSeconds: 5,
            securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
            containers: [container],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ name: 'http', port: 8080, targetPort: 'http' }] },
    },
  ]);
  await mustKubectl(
    platform.kubectl,
    ['rollout', 'status', 'deployment/receiver', '-n', receiverNamespace, '--timeout=90s'],
    { timeout: 100_000 },
  );
};

export const removeReceiver = ({ kubectl }: Platform): Promise<string> =>
  mustKubectl(kubectl, ['delete', 'namespace', receiverNamespace, '--ignore-not-found', '--timeout=60s'], {
    timeout: 70_000,
  });

const read = (file: string): unknown[] => loadAll(readFileSync(join(examples, file), 'utf8'));
