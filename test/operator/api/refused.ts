import { catalog } from '../../../runtime/catalog.ts';
import { connection, filter, http, httpSink, integration, map, tenant } from '../../build.ts';

/*
 * Objects that the API server and our parser refuse alike. `text` rows are CEL rules: the very text. The others are structural: the same
 * path and the same rule id (the API server's word for it).
 */
export interface Refused {
  readonly why: string;
  readonly object: unknown;
  readonly path: string;
  readonly text?: string;
  readonly rule?: string;
}

const durationText = 'write a duration such as 30s, 5m or 168h (units h, m, s, ms)';
const quantityText = 'write a quantity such as 64Mi or 10Gi';
const wrong = (value: unknown) => value as never;

const integrations: readonly Refused[] = [
  {
    why: 'a source without a connector would accept nothing',
    object: integration({ sources: [{ name: 'in' }] }),
    path: 'spec.sources[0]',
    text: 'set one source: bus, file, http, schedule',
  },
  {
    why: 'the same for a step',
    object: integration({ steps: [{ name: 'a' }] }),
    path: 'spec.steps[0]',
    text: `set one step: ${[...catalog.steps.keys()].join(', ')}`,
  },
  {
    why: 'two steps in one item have no order',
    object: integration({ steps: [{ ...filter('true'), ...map({}), name: 'a' }] }),
    path: 'spec.steps[0]',
    text: 'has more than one step: filter map (keep one; use a second list item for the other)',
  },
  {
    why: 'the steps of flows have the same rules',
    object: integration({ flows: [{ name: 'f', steps: [{ ...filter('true'), ...map({}), name: 'a' }] }] }),
    path: 'spec.flows[0].steps[0]',
    text: 'has more than one step: filter map (keep one; use a second list item for the other)',
  },
  {
    why: 'a second way in would be an open door',
    object: integration({
      sources: [
        http({
          auth: {
            bearer: { secretKeyRef: { name: 's', key: 'k' } },
            hmac: { secretKeyRef: { name: 's', key: 'k' } },
          },
        }),
      ],
    }),
    path: 'spec.sources[0].http.auth',
    text: 'has more than one auth: bearer hmac (keep one)',
  },
  {
    why: 'an empty auth says less than none',
    object: integration({ sources: [http({ auth: {} })] }),
    path: 'spec.sources[0].http.auth',
    text: 'set one auth: bearer, basic, hmac',
  },
  {
    why: 'lists of steps are atomic, so names are unique by rule',
    object: integration({ steps: [filter('true', 'a'), filter('false', 'a')] }),
    path: 'spec.steps',
    text: 'every step needs its own name',
  },
  {
    why: 'a number is no duration',
    object: integration({ delivery: { timeout: '30' } }),
    path: 'spec.delivery.timeout',
    text: durationText,
  },
  {
    why: 'words are no duration',
    object: integration({ deadLetter: { retention: '7 days' } }),
    path: 'spec.deadLetter.retention',
    text: durationText,
  },
  {
    why: 'no time at all is no time-out',
    object: integration({ delivery: { timeout: '0s' } }),
    path: 'spec.delivery.timeout',
    text: durationText,
  },
  {
    why: 'durations do not go back',
    object: integration({ delivery: { timeout: '-1s' } }),
    path: 'spec.delivery.timeout',
    text: durationText,
  },
  {
    why: 'workers may not answer later',
    object: integration({ sources: [http({ reply: { timeout: '61s' } })] }),
    path: 'spec.sources[0].http.reply.timeout',
    text: 'write at most 60s: nobody waits longer for an answer',
  },
  {
    why: 'the broker forgets by the second',
    object: integration({ steps: [{ name: 'once', dedupe: { key: 'body.no', window: '10ms' } }] }),
    path: 'spec.steps[0].dedupe.window',
    text: 'write at least 1s and at most 720h',
  },
  {
    why: 'a window that is no duration is not said to be too long',
    object: integration({ steps: [{ name: 'once', dedupe: { key: 'body.no', window: 'a month' } }] }),
    path: 'spec.steps[0].dedupe.window',
    text: durationText,
  },
  {
    why: 'no duration is said to be none, and not to be too long',
    object: integration({ sources: [http({ reply: { timeout: 'a minute' } })] }),
    path: 'spec.sources[0].http.reply.timeout',
    text: durationText,
  },
  {
    why: 'MB is no unit of Kubernetes',
    object: integration({ inbox: { maxBytes: '32MB' } }),
    path: 'spec.inbox.maxBytes',
    text: quantityText,
  },
  {
    why: 'a quantity below zero is none',
    object: integration({ podSettings: { resources: { requests: { cpu: '-1' } } } }),
    path: 'spec.podSettings.resources.requests.cpu',
    text: quantityText,
  },
  {
    why: 'an inbox too small for one message refuses everything',
    object: integration({ inbox: { maxBytes: '1Ki' } }),
    path: 'spec.inbox.maxBytes',
    text: 'inbox.maxBytes must be at least 1Mi',
  },
  {
    why: 'a body that fits into no room would be refused for ever',
    object: integration({ inbox: { largeBodies: { maxBytes: '50Mi' } } }),
    path: 'spec.inbox.largeBodies.maxBytes',
    text: 'inbox.largeBodies.maxBytes must be more than largest',
  },
  {
    why: 'the same against the room that there is by default',
    object: integration({ inbox: { largeBodies: { largest: 1_073_741_824 } } }),
    path: 'spec.inbox.largeBodies.maxBytes',
    text: 'inbox.largeBodies.maxBytes must be more than largest',
  },
  {
    why: 'the same in bytes, as an integer',
    object: integration({ deadLetter: { maxBytes: 1024 } }),
    path: 'spec.deadLetter.maxBytes',
    text: 'deadLetter.maxBytes must be at least 1Mi',
  },
  {
    why: 'order by key needs a key',
    object: integration({ delivery: { ordering: 'Key' } }),
    path: 'spec.delivery',
    text: 'delivery.ordering Key needs delivery.key, a CEL expression such as body.orderId',
  },
  {
    why: 'partitions are for order by key',
    object: integration({ delivery: { partitions: 4 } }),
    path: 'spec.delivery.partitions',
    text: 'delivery.partitions above 1 needs delivery.ordering Key',
  },
  {
    why: 'what is put in order must stay so up to the sinks',
    object: integration({
      steps: [{ name: 'order', resequence: { key: 'body.a', number: 'body.no', timeout: '1m' } }],
    }),
    path: 'spec.delivery',
    text: 'delivery.ordering Key is needed by steps that put messages in order (resequence)',
  },
  {
    why: 'back-off grows',
    object: integration({ delivery: { retry: { backoff: { initial: '10s', max: '5s' } } } }),
    path: 'spec.delivery.retry.backoff',
    text: 'delivery.retry.backoff.initial must not be above max',
  },
  {
    why: 'also against the default of max',
    object: integration({ delivery: { retry: { backoff: { initial: '6m' } } } }),
    path: 'spec.delivery.retry.backoff',
    text: 'delivery.retry.backoff.initial must not be above max',
  },
  {
    why: 'Manual without a number decides nothing',
    object: integration({ scaling: { mode: 'Manual' } }),
    path: 'spec.scaling.replicas',
    text: 'scaling.replicas goes with mode Manual: set both or neither',
  },
  {
    why: 'a number in mode Auto (the default) would be ignored: kubectl scale must say so',
    object: integration({ scaling: { replicas: 3 } }),
    path: 'spec.scaling.replicas',
    text: 'scaling.replicas goes with mode Manual: set both or neither',
  },
  {
    why: 'fewest above most, by the default of most',
    object: integration({ scaling: { minReplicas: 11 } }),
    path: 'spec.scaling.minReplicas',
    text: 'scaling.minReplicas must not be above maxReplicas (default 10)',
  },
  {
    why: 'a flow without a source gets nothing',
    object: integration({ sources: wrong(undefined) }),
    path: 'spec.sources',
    rule: 'FieldValueRequired',
  },
  {
    why: 'nor with an empty list',
    object: integration({ sources: [] }),
    path: 'spec.sources',
    rule: 'FieldValueInvalid',
  },
  {
    why: 'spec itself',
    object: { ...integration(), spec: undefined },
    path: 'spec',
    rule: 'FieldValueRequired',
  },
  {
    why: 'a field that a connector needs',
    object: integration({ sources: [{ name: 'in', http: {} }] }),
    path: 'spec.sources[0].http.path',
    rule: 'FieldValueRequired',
  },
  {
    why: 'names merge lists',
    object: integration({ sources: [http({}, 'in'), http({ path: '/b' }, 'in')] }),
    path: 'spec.sources[1]',
    rule: 'FieldValueDuplicate',
  },
  {
    why: 'names are subject tokens',
    object: integration({ sources: [http({ path: '/x' }, 'My Shop')] }),
    path: 'spec.sources[0].name',
    rule: 'FieldValueInvalid',
  },
  {
    why: 'a wrong word',
    object: integration({ delivery: { ordering: wrong('Strict') } }),
    path: 'spec.delivery.ordering',
    rule: 'FieldValueNotSupported',
  },
  {
    why: 'a wrong type',
    object: integration({ suspend: wrong('no') }),
    path: 'spec.suspend',
    rule: 'FieldValueTypeInvalid',
  },
  {
    why: 'an integer out of range',
    object: integration({ delivery: { concurrency: 0 } }),
    path: 'spec.delivery.concurrency',
    rule: 'FieldValueInvalid',
  },
  {
    why: 'a text out of range',
    object: integration({ description: 'x'.repeat(1025) }),
    path: 'spec.description',
    rule: 'FieldValueTooLong',
  },
  {
    why: 'a list out of range',
    object: integration({ steps: Array.from({ length: 65 }, (_, index) => filter('true', `s${index}`)) }),
    path: 'spec.steps',
    rule: 'FieldValueTooMany',
  },
  {
    why: 'a map out of range',
    object: integration({
      podSettings: { labels: Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`l${index}`, 'x'])) },
    }),
    path: 'spec.podSettings.labels',
    rule: 'FieldValueTooMany',
  },
  {
    why: 'a Secret name becomes part of a path',
    object: integration({ sources: [http({ auth: { bearer: { secretKeyRef: { name: '../x', key: 'k' } } } })] }),
    path: 'spec.sources[0].http.auth.bearer.secretKeyRef.name',
    rule: 'FieldValueInvalid',
  },
  {
    why: 'a typing mistake must not be dropped silently',
    object: integration(wrong({ retries: 3 })),
    path: 'spec.retries',
    rule: 'FieldUnknown',
  },
  {
    why: 'nor one deep in a connector',
    object: integration({ sinks: [httpSink({ timout: '3s' })] }),
    path: 'spec.sinks[0].http.timout',
    rule: 'FieldUnknown',
  },
];

const others: readonly Refused[] = [
  { why: 'a Connection of nothing', object: connection({}), path: 'spec', text: 'set one system: file, http' },
  {
    why: 'kube-* belongs to Kubernetes',
    object: tenant({ namespace: { name: 'kube-public' } }),
    path: 'spec.namespace.name',
    text: 'default and kube-* are reserved; choose another namespace',
  },
  {
    why: 'default belongs to everybody',
    object: tenant({ namespace: { name: 'default' } }),
    path: 'spec.namespace.name',
    text: 'default and kube-* are reserved; choose another namespace',
  },
  {
    why: 'an egress entry of nothing would open nothing or everything',
    object: tenant({ network: { egress: { allow: [{ ports: [443] }] } } }),
    path: 'spec.network.egress.allow[0]',
    text: 'set either cidr, or namespaceSelector and podSelector',
  },
  {
    why: 'addresses and pods are two rules',
    object: tenant({ network: { egress: { allow: [{ cidr: '10.0.0.0/8', podSelector: {} }] } } }),
    path: 'spec.network.egress.allow[0]',
    text: 'set either cidr, or namespaceSelector and podSelector',
  },
  {
    why: 'an address without a length',
    object: tenant({ network: { ingressFrom: [{ cidr: '10.0.0.1' }] } }),
    path: 'spec.network.ingressFrom[0].cidr',
    text: 'write addresses as CIDR such as 10.20.0.0/16 or fd00::/64',
  },
  {
    why: 'a member twice would have two roles',
    object: tenant({
      members: [
        { kind: 'Group', name: 'devs', role: 'Viewer' },
        { kind: 'Group', name: 'devs', role: 'Editor' },
      ],
    }),
    path: 'spec.members[1]',
    rule: 'FieldValueDuplicate',
  },
  {
    why: 'roles are three',
    object: tenant({ members: [{ kind: 'Group', name: 'devs', role: wrong('Admin') }] }),
    path: 'spec.members[0].role',
    rule: 'FieldValueNotSupported',
  },
];

export const refused: readonly Refused[] = [...integrations, ...others];
