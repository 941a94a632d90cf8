import {
  bus,
  choice,
  connection,
  filter,
  http,
  httpSink,
  integration,
  map,
  schedule,
  secretKeyRef,
  tenant,
} from '../../build.ts';

/** Objects that the API server and our parser take alike. */
export const accepted: readonly { readonly why: string; readonly object: unknown }[] = [
  { why: 'the smallest Integration', object: integration() },
  {
    why: 'every field of an Integration, with its default where it has one',
    object: integration({
      description: 'Web shop orders into the ERP',
      suspend: false,
      sources: [
        http(
          {
            path: '/orders',
            methods: ['POST', 'PUT'],
            auth: { bearer: secretKeyRef('shop', 'token') },
            maxBytes: '1Mi',
            headers: ['x-tenant'],
            idHeader: 'x-github-delivery',
            reply: { timeout: '60s' },
          },
          'shop',
        ),
      ],
      steps: [
        filter('body.total > 10.0', 'worth-it'),
        map({
          id: '=body.orderId',
          lines: "=body.lines.map(l, {'sku': l.sku})",
          literal: '==x',
          nested: [{ a: null }],
        }),
      ],
      flows: [{ name: 'bulk', steps: [filter('true', 'bulk-only')] }],
      sinks: [{ ...httpSink({ method: 'POST', path: '/invoices' }), when: "body.country == 'FI'" }],
      delivery: {
        timeout: '30s',
        retry: { attempts: 5, backoff: { initial: '1s', max: '5m' } },
        ordering: 'None',
        partitions: 1,
        concurrency: 64,
      },
      inbox: { maxBytes: '32Mi', storage: 'File', replicas: 1 },
      deadLetter: { retention: '168h', maxBytes: '16Mi' },
      scaling: { mode: 'Auto', minReplicas: 0, maxReplicas: 10, lagPerReplica: 100, idleAfter: '60s' },
      podSettings: {
        resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi', 'example.com/gpu': 1 } },
        nodeSelector: { 'kubernetes.io/arch': 'amd64' },
        tolerations: [{ key: 'dedicated', operator: 'Equal', value: 'integration', effect: 'NoSchedule' }],
        priorityClassName: '',
        labels: { team: 'orders' },
        annotations: { 'example.com/note': 'any text: {{ not a template }}' },
      },
      deletionPolicy: 'Retain',
    }),
  },
  { why: 'sizes in bytes', object: integration({ inbox: { maxBytes: 33554432 } }) },
  { why: 'large bodies, as much of them as usual', object: integration({ inbox: { largeBodies: {} } }) },
  {
    why: 'large bodies in little room',
    object: integration({ inbox: { largeBodies: { largest: '2Mi', maxBytes: '8Mi' } } }),
  },
  { why: 'durations of several parts', object: integration({ delivery: { timeout: '1h30m5s250ms' } }) },
  {
    why: 'order by key over several partitions',
    object: integration({
      sources: [bus(['order.placed']), http(), schedule({ cron: '0 2 * * *' })],
      delivery: { ordering: 'Key', key: 'body.orderId', partitions: 16 },
    }),
  },
  { why: 'a body that is one expression', object: integration({ steps: [map('=body.order')] }) },
  { why: 'a body that is a list', object: integration({ steps: [map(['=body.id', 1, true, { a: null }])] }) },
  {
    why: 'steps that name flows, flows that name others',
    object: integration({
      steps: [choice([['body.lines.size() > 50', 'bulk']], 'single')],
      flows: [
        { name: 'bulk', steps: [choice([["body.country == 'FI'", 'single']], undefined, 'by-country')] },
        { name: 'single', steps: [filter('true', 'one')] },
      ],
    }),
  },
  {
    why: 'fields that are set, kept as they are',
    object: integration({
      steps: [
        {
          name: 'more',
          set: { body: { customer: { country: '=body.country' }, tags: ['a'] }, headers: { 'x-a': '=body.a' } },
        },
      ],
    }),
  },
  {
    why: 'the longest window, in other units',
    object: integration({ steps: [{ name: 'once', dedupe: { key: 'body.no', window: '719h59m60s' } }] }),
  },
  {
    why: 'a JSON Schema, kept as it is',
    object: integration({
      steps: [
        { name: 'valid', validate: { schema: { type: 'object', required: ['id'], 'x-owner': { team: 'shop' } } } },
      ],
    }),
  },
  { why: 'Manual, at zero', object: integration({ scaling: { mode: 'Manual', replicas: 0 } }) },
  { why: 'a name of exactly 40 characters', object: integration({}, { name: 'n'.repeat(40) }) },
  { why: 'the smallest Connection', object: connection() },
  {
    why: 'a Connection with credentials and an own CA',
    object: connection({
      http: {
        url: 'https://erp.example.com/api',
        auth: { basic: { username: 'kanava', password: secretKeyRef('erp', 'password') } },
        tls: { caRef: { kind: 'ConfigMap', name: 'erp-ca', key: 'ca.crt' } },
        timeout: '10s',
      },
    }),
  },
  { why: 'the smallest Tenant', object: tenant() },
  {
    why: 'every field of a Tenant',
    object: tenant({
      displayName: 'Acme',
      suspend: false,
      namespace: { name: 'acme', adopt: false },
      members: [
        { kind: 'Group', name: 'acme-devs', role: 'Editor' },
        { kind: 'User', name: 'system:serviceaccount:ci:deployer', role: 'Operator' },
      ],
      quota: { integrations: 20, replicas: 40, compute: { 'limits.cpu': '8', 'limits.memory': '16Gi' } },
      messaging: { storage: '2Gi', memory: 0, streams: 100, connections: 200, maxPayload: '1Mi', replicas: 1 },
      network: {
        egress: {
          allow: [
            { cidr: '10.20.0.0/16', ports: [443, 5432] },
            { cidr: 'fd00::/64' },
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'receiver' } },
              podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['receiver'] }] },
              ports: [8080],
            },
          ],
        },
        ingressFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ingress' } } }],
      },
      workload: {
        nodeSelector: {},
        tolerations: [],
        priorityClassNames: ['batch'],
        runtimeClassName: '',
        registries: ['ghcr.io'],
      },
      connectors: { allow: ['http'] },
      gateway: { replicas: 2 },
      deletionPolicy: 'Retain',
    }),
  },
];
