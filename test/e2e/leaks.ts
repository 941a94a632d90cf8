import { randomBytes } from 'node:crypto';
import { request } from 'undici';
import type { KubeObject } from '../../operator/reconcile/ports.ts';
import { mustKubectl } from '../cluster/kubectl.ts';
import type { Accounts } from './demo/accounts.ts';
import type { Platform } from './demo/platform.ts';
import { reachService } from './demo/reach.ts';
import { eventually } from './pods.ts';

/*
 * Canaries: secret values in every place where a tenant may put one, traffic that fails with each of them (a far end that sends our own
 * headers back in its error), and then a search for the values in whatever can be read without a right to Secrets.
 */
const namespace = 'acme';
const name = 'canaries';
const used = ['bearer', 'basic', 'hmac', 'sink-bearer', 'sink-basic', 'sink-header'] as const;
const keys = [...used, ...Array.from({ length: 16 }, (_, number) => `unused-${number}`)];

const searched = [
  'configmaps',
  'pods',
  'deployments',
  'replicasets',
  'statefulsets',
  'jobs',
  'services',
  'serviceaccounts',
  'events',
  'leases',
  'networkpolicies',
  'resourcequotas',
  'rolebindings',
  'roles',
  'tenants.kanava.dev',
  'connections.kanava.dev',
  'integrations.kanava.dev',
];

export interface Search {
  readonly canaries: number;
  /** Texts that were searched. */
  readonly looked: number;
  readonly leaks: readonly string[];
  /** A value that was planted in a ConfigMap was found. */
  readonly control: boolean;
}

export const findLeaks = async (platform: Platform, accounts: Accounts): Promise<Search> => {
  const values = new Map(keys.map((key) => [key, `canary-${randomBytes(12).toString('hex')}`]));
  await applyAll(platform, values);
  await sendFailing(platform, values);
  await eventually(
    'the failing deliveries are dead letters',
    async () => (await (await accounts.manager(namespace)).streams.info(`dlq_${name}`)).state.messages,
    (count) => count > 0,
  );
  const texts = await everythingReadable(platform, accounts);
  const leaks = texts.flatMap(({ where, text }) =>
    [...values].flatMap(([key, value]) =>
      spellings(value).some((one) => text.includes(one)) ? [`${key} in ${where}`] : [],
    ),
  );
  const planted = values.get('unused-0') as string;
  const config = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'planted', namespace },
    data: { value: planted },
  };
  await mustKubectl(platform.kubectl, ['apply', '--server-side', '-f', '-'], { stdin: JSON.stringify(config) });
  const control = (await everythingReadable(platform, accounts)).some(({ text }) => text.includes(planted));
  await mustKubectl(platform.kubectl, ['delete', 'configmap', 'planted', '-n', namespace]);
  return { canaries: values.size, looked: texts.length, leaks, control };
};

const spellings = (value: string): string[] => [
  value,
  Buffer.from(value).toString('base64').replace(/=+$/, ''),
  encodeURIComponent(value),
  value.slice(0, 20),
];

const ref = (key: string) => ({ secretKeyRef: { name, key } });
const applyAll = async ({ kubectl }: Platform, values: ReadonlyMap<string, string>): Promise<void> => {
  const connection = (kind: string, auth: object) => ({
    apiVersion: 'kanava.dev/v1alpha1',
    kind: 'Connection',
    metadata: { name: `${name}-${kind}`, namespace },
    spec: { http: { url: 'http://receiver.demo-receiver.svc:8080/echo', auth } },
  });
  const sink = (kind: string) => ({ name: kind, http: { connectionRef: { name: `${name}-${kind}` } } });
  const items = [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData: Object.fromEntries(values) },
    connection('bearer', { bearer: ref('sink-bearer') }),
    connection('basic', { basic: { username: 'e2e', password: ref('sink-basic') } }),
    connection('header', { header: { name: 'x-api-key', ...ref('sink-header') } }),
    {
      apiVersion: 'kanava.dev/v1alpha1',
      kind: 'Integration',
      metadata: { name, namespace },
      spec: {
        sources: [
          { name: 'by-bearer', http: { path: '/bearer', auth: { bearer: ref('bearer') } } },
          { name: 'by-basic', http: { path: '/basic', auth: { basic: { username: 'e2e', password: ref('basic') } } } },
          { name: 'by-hmac', http: { path: '/hmac', auth: { hmac: ref('hmac') } } },
        ],
        sinks: [sink('bearer'), sink('basic'), sink('header')],
        delivery: { retry: { attempts: 2, backoff: { initial: '100ms', max: '200ms' } } },
        deletionPolicy: 'Delete',
      },
    },
  ];
  await mustKubectl(kubectl, ['apply', '--server-side', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  });
  await mustKubectl(
    kubectl,
    ['wait', '--for=condition=Ready', `integrations.kanava.dev/${name}`, '-n', namespace, '--timeout=120s'],
    {
      timeout: 130_000,
    },
  );
};

/** Right and wrong credentials to each source. */
const sendFailing = async (platform: Platform, values: ReadonlyMap<string, string>): Promise<void> => {
  const gateway = await reachService(platform, namespace, 'gateway', 80);
  const post = async (path: string, headers: Record<string, string>): Promise<number> => {
    const answer = await request(`http://${gateway.host}:${gateway.port}/${name}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{"order": 4711}',
    });
    await answer.body.dump();
    return answer.statusCode;
  };
  const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`e2e:${password}`).toString('base64')}` });
  for (const [path, headers, status] of [
    ['/bearer', { authorization: `Bearer ${values.get('bearer')}` }, 202],
    ['/bearer', { authorization: `Bearer x${values.get('bearer')}` }, 401],
    ['/basic', basic(values.get('basic') as string), 202],
    ['/basic', basic(`x${values.get('basic')}`), 401],
    ['/hmac', { 'x-hub-signature-256': `sha256=${values.get('hmac')}` }, 401],
  ] as const)
    await eventually(
      `${path} answers ${status}`,
      () => post(path, headers),
      (seen) => seen === status,
    );
  gateway.close();
};

/** Logs of every pod, every object that is no Secret, and what NATS keeps for the tenant. */
const everythingReadable = async (
  platform: Platform,
  accounts: Accounts,
): Promise<{ where: string; text: string }[]> => {
  const { kubectl } = platform;
  const texts: { where: string; text: string }[] = [];
  const listed = await mustKubectl(kubectl, ['get', searched.join(), '-A', '-o', 'json', '--show-managed-fields']);
  for (const item of (JSON.parse(listed) as { items: KubeObject[] }).items)
    texts.push({
      where: `${item.kind} ${item.metadata.namespace ?? ''}/${item.metadata.name}`,
      text: JSON.stringify(item),
    });
  const pods = (
    await mustKubectl(kubectl, [
      'get',
      'pods',
      '-A',
      '-o',
      'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{"\\n"}{end}',
    ])
  ).trim();
  for (const line of pods.split('\n')) {
    const [space = '', pod = ''] = line.split(' ');
    const { stdout, stderr } = await kubectl(['logs', '-n', space, pod, '--all-containers', '--tail=-1']);
    texts.push({ where: `log of ${line}`, text: stdout + stderr });
  }
  const manager = await accounts.manager(namespace);
  for (const stream of ['KV_answer', 'KV_gateway', 'KV_state', `dlq_${name}`, `inbox_${name}`]) {
    const { state } = await manager.streams.info(stream);
    for (let seq = state.first_seq; state.messages > 0 && seq <= state.last_seq; seq++) {
      const stored = await manager.streams.getMessage(stream, { seq }).catch(() => undefined);
      if (!stored) continue;
      const headers = [...stored.header].map(([key, value]) => `${key}: ${value.join(', ')}`).join('\n');
      texts.push({ where: `${stream} ${seq}`, text: `${headers}\n${new TextDecoder().decode(stored.data)}` });
    }
  }
  return texts;
};
