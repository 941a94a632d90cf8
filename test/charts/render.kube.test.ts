import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../operator/settings.ts';
import { type KubeApi, startKubeApi } from '../cluster/kube-api.ts';
import { installChart, lintChart, operatorNamespace, renderChart } from './chart.ts';

/* The chart renders objects that a real API server takes, and says no to values that it does not know. */
let api: KubeApi;
beforeAll(async () => {
  api = await startKubeApi();
  await installChart(api.kubectl);
  // What cannot change once it exists would hide whether other values make a valid one. And no controller makes accounts here.
  await api.kubectl(['delete', 'statefulsets,jobs', '--all', '-n', operatorNamespace]);
  await api.kubectl(['create', 'serviceaccount', 'default', '-n', operatorNamespace]);
  await api.kubectl(['label', 'namespace', operatorNamespace, 'pod-security.kubernetes.io/enforce=restricted']);
});
afterAll(() => api.stop());

const external = {
  nats: {
    managed: { enabled: false },
    external: { url: 'tls://nats.example.com:4222', keysSecret: 'keys', caConfigMap: 'ca', cidrs: ['10.30.0.0/28'] },
  },
};
const everything = {
  images: {
    pullSecrets: ['registry'],
    tenantPullSecrets: ['registry'],
    operator: { tag: '1.2.3', pullPolicy: 'Never' },
  },
  operator: {
    replicas: 2,
    logLevel: 'debug',
    podAnnotations: { a: 'b' },
    podLabels: { c: 'd' },
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    tolerations: [{ key: 'x', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    priorityClassName: 'system-cluster-critical',
  },
  nats: {
    managed: {
      dnsNames: ['nats.example.com'],
      storage: { size: '20Gi', className: 'fast' },
      jetstream: { maxFile: '18Gi', maxMemory: '1Gi', defaultMaxConsumers: 5000 },
      maxPayload: '1Mi',
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      tolerations: [{ key: 'x', operator: 'Exists' }],
    },
  },
  network: { closedRanges: ['10.244.0.0/16', 'fd00::/8'], nodeRanges: ['172.30.99.1/32'] },
  credentials: { lifetime: '12h' },
  global: { anything: true },
};

interface Rendered {
  kind: string;
  metadata: { name: string; annotations?: Record<string, string> };
  data?: Record<string, string>;
  spec?: { template?: { spec: PodSpec } };
}
interface PodSpec {
  automountServiceAccountToken: boolean;
  volumes: unknown[];
}

const objectsOf = async (values?: unknown): Promise<Rendered[]> => {
  const { code, stdout, stderr } = await renderChart(values);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return (loadAll(stdout) as (Rendered | null)[]).filter((object) => object !== null);
};

/** A StatefulSet's pods get the volume of their claim. */
const withVolumes = (kind: string, spec: PodSpec | undefined) =>
  kind === 'StatefulSet' ? { ...spec, volumes: [...(spec?.volumes ?? []), { name: 'data', emptyDir: {} }] } : spec;

describe('helm template', () => {
  it.each([
    ['defaults', {}],
    ['a NATS server of their own', external],
    ['everything set', everything],
  ])('renders objects that the API server takes: %s', async (_, values) => {
    const { stdout } = await renderChart(values);
    const applied = await api.kubectl(['apply', '--server-side', '--dry-run=server', '--force-conflicts', '-f', '-'], {
      stdin: stdout,
    });
    expect(applied.stderr).not.toMatch(/would violate|unknown field|error/i);
    expect(applied.code).toBe(0);
  });

  it.each([
    ['defaults', {}],
    ['a NATS server of their own', external],
    ['everything set', everything],
  ])('writes a configuration that the operator reads: %s', async (_, values) => {
    const config = (await objectsOf(values)).find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'kanava-operator',
    );
    expect(configSchema.safeParse(JSON.parse(config?.data?.['config.json'] ?? ''))).toMatchObject({ success: true });
  });

  it('keeps CRDs on uninstall, with a schema revision', async () => {
    const crds = (await objectsOf()).filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(crds.map(({ metadata }) => metadata.name).sort()).toEqual(
      ['connections', 'integrations', 'tenants'].map((plural) => `${plural}.kanava.dev`),
    );
    for (const { metadata } of crds)
      expect(metadata.annotations).toMatchObject({
        'helm.sh/resource-policy': 'keep',
        'kanava.dev/schema-revision': expect.stringMatching(/^[0-9]+$/) as string,
      });
  });

  it('has pods that pass Pod Security restricted, and tokens only where the API is used', async () => {
    const pods = (await objectsOf()).flatMap((object) => (object.spec?.template ? [object] : []));
    expect(pods.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
      'Deployment kanava-operator',
      'Job kanava-bootstrap',
      'Job kanava-uninstall-guard',
      'StatefulSet kanava-nats',
    ]);
    for (const { kind, metadata, spec } of pods) {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'try', namespace: operatorNamespace },
        spec: withVolumes(kind, spec?.template?.spec),
      };
      const created = await api.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: JSON.stringify(pod) });
      expect(created, metadata.name).toMatchObject({ code: 0, stderr: '' });
    }
    const tokens = pods.filter(({ spec }) => spec?.template?.spec.automountServiceAccountToken);
    expect(tokens.map(({ metadata }) => metadata.name).sort()).toEqual([
      'kanava-bootstrap',
      'kanava-operator',
      'kanava-uninstall-guard',
    ]);
  });

  it('control: the namespace refuses a pod that is not restricted', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'try', namespace: operatorNamespace },
      spec: { containers: [{ name: 'a', image: 'a' }] },
    };
    const { stderr } = await api.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: JSON.stringify(pod) });
    expect(stderr).toContain('violates PodSecurity');
  });
});

describe('values.schema.json', () => {
  it.each([
    ['a typo at the top', { operatr: {} }, 'operatr'],
    ['a typo below', { operator: { replica: 2 } }, 'replica'],
    ['a typo in the server', { nats: { managed: { jetstream: { maxfile: '1Gi' } } } }, 'maxfile'],
    ['text instead of a boolean', { nats: { managed: { enabled: 'false' } } }, 'enabled'],
    ['a number with no unit', { nats: { managed: { storage: { size: 10 } } } }, 'size'],
    ['an unknown log level', { operator: { logLevel: 'loud' } }, 'logLevel'],
    ['no server at all', { nats: { managed: { enabled: false } } }, 'external'],
    ['two servers', { nats: { external: external.nats.external } }, 'external'],
    [
      'credentials in the URL',
      { nats: { ...external.nats, external: { ...external.nats.external, url: 'nats://me:pw@nats' } } },
      'url',
    ],
    ['a range that is none', { network: { closedRanges: ['10.0.0.1'] } }, 'closedRanges'],
  ])('refuses %s', async (_, values, named) => {
    const { code, stderr } = await renderChart(values);
    expect(code).not.toBe(0);
    expect(stderr).toContain(named);
  });

  it.each([
    ['defaults', {}],
    ['a NATS server of their own', external],
    ['everything set', everything],
  ])('helm lint --strict finds nothing: %s', async (_, values) => {
    const { code, stdout } = await lintChart(values);
    expect(stdout).toContain('0 chart(s) failed');
    expect(code).toBe(0);
  });
});
