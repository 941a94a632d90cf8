import { effectiveTenant } from '../../../operator/api/effective.ts';
import { parseConnection, parseIntegration, parseTenant } from '../../../operator/api/parse.ts';
import { assess, type Candidate } from '../../../operator/plan/acceptance.ts';
import { configSchema, type Settings } from '../../../operator/settings.ts';
import { connection, filter, http, httpSink, integration, secretKeyRef, tenant } from '../../build.ts';

/* What plans are made from, as objects that users write. */
export const settings = (config: Record<string, unknown> = {}): Settings => ({
  config: configSchema.parse({
    runtime: { image: 'registry.example/kanava/runtime:1' },
    nats: {
      url: 'tls://nats.kanava-system.svc:4222',
      network: { namespace: 'kanava-system', podLabels: { app: 'nats' } },
    },
    network: { closedRanges: ['10.244.0.0/16', '10.96.0.0/12'], nodeRanges: ['192.168.5.0/24'] },
    ...config,
  }),
  namespace: 'kanava-system',
  podName: 'operator-0',
  serviceAccount: 'kanava-operator',
  logLevel: 'info',
  healthPort: 8081,
  natsFolder: '/nowhere',
});

export const acme = (spec: Parameters<typeof tenant>[0] = {}) => {
  const parsed = parseTenant(tenant(spec));
  if (!parsed.ok) throw new Error(parsed.finding.message);
  return effectiveTenant('acme', parsed.value.spec);
};

export const home = { tenant: 'acme', namespace: 'acme', integration: { name: 'orders', uid: 'uid-1' } };
export const identity = { tenant: 'acme', namespace: 'acme', integration: 'orders', uid: 'uid-1', generation: 1 };

/** With a secret at the gateway, one in the Connection, and a CA bundle in a ConfigMap. */
export const orders = (spec: Parameters<typeof integration>[0] = {}) =>
  integration({
    sources: [http({ path: '/orders', auth: { bearer: secretKeyRef('shop', 'token') } })],
    steps: [filter('body.total > 10.0')],
    sinks: [httpSink()],
    ...spec,
  });
export const erp = (url = 'https://erp.example.com/api') =>
  connection({
    http: {
      url,
      auth: { bearer: secretKeyRef('erp', 'token') },
      tls: { caRef: { kind: 'ConfigMap', name: 'erp-ca', key: 'ca.pem' } },
    },
  });

export const candidate = (changes: Partial<Candidate> = {}): Candidate => ({
  identity,
  parsed: parseIntegration(orders()),
  tenant: acme(),
  position: 1,
  connection: (name) => (name === 'erp' ? parseConnection(erp()) : undefined),
  keysOf: (_kind, name) => ({ shop: ['token'], erp: ['token'], 'erp-ca': ['ca.pem'] })[name],
  closedRanges: settings().config.network.closedRanges,
  namespaces: [],
  ...changes,
});

export const resolved = (changes: Partial<Candidate> = {}) => {
  const assessment = assess(candidate(changes));
  if (!assessment.resolved) throw new Error(`${assessment.accepted.message} ${assessment.connections.message}`);
  return assessment.resolved;
};
