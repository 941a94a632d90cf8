import { z } from 'zod';
import {
  choiceOf,
  duration,
  durationPattern,
  flag,
  integer,
  label,
  listOf,
  milliseconds,
  quantity,
  quantityValue,
  shape,
  text,
} from '../../runtime/schema.ts';
import {
  conditionList,
  count,
  deletionPolicy,
  labelSelector,
  namedList,
  nodeSelector,
  observedGeneration,
  optionalText,
  quantityMap,
  tolerations,
} from './fields.ts';
import type { Metadata } from './meta.ts';
import { type Rule, ruled, type Transition } from './rules.ts';

const cidr = ruled(text('Addresses as CIDR, such as 10.20.0.0/16.', 64), [
  {
    rule: 'isCIDR(self)',
    message: 'write addresses as CIDR such as 10.20.0.0/16 or fd00::/64',
    check: (self) => z.union([z.cidrv4(), z.cidrv6()]).safeParse(self).success,
  },
]);

const peerFields = {
  cidr: cidr.optional(),
  namespaceSelector: labelSelector('Namespaces of this cluster.').optional(),
  podSelector: labelSelector('Pods; alone, of the own namespace.').optional(),
};
interface PeerForm {
  readonly cidr?: unknown;
  readonly namespaceSelector?: unknown;
  readonly podSelector?: unknown;
}
const oneForm: Rule<PeerForm> = {
  rule: 'has(self.cidr) != (has(self.namespaceSelector) || has(self.podSelector))',
  message: 'set either cidr, or namespaceSelector and podSelector',
  check: (self) =>
    (self.cidr !== undefined) !== (self.namespaceSelector !== undefined || self.podSelector !== undefined),
};
const destination = ruled(
  shape('One destination.', {
    ...peerFields,
    ports: listOf('TCP ports; absent is every port.', integer('Port.', 1, 65535), 0, 16).optional(),
  }),
  [oneForm],
);
const origin = ruled(shape('One origin.', peerFields), [oneForm]);

const namespace = ruled(
  shape('The namespace that is the wall.', {
    name: label('Name of the namespace; cannot change.', 63),
    adopt: flag('Takes an existing namespace.', {
      doc: 'Only a namespace that its owner has annotated with `kanava.dev/adopt: <tenant>` is taken.',
    }).optional(),
  }),
  [
    {
      rule: "self.name != 'default' && !self.name.startsWith('kube-')",
      message: 'default and kube-* are reserved; choose another namespace',
      fieldPath: '.name',
      check: (self) => self.name !== 'default' && !self.name.startsWith('kube-'),
    },
  ],
);

const bus = ruled(
  shape('The bus between Integrations.', {
    maxBytes: quantity('Most that is kept; default 64Mi. Full: oldest go.').optional(),
    retention: duration('How long events are kept; default 168h.').optional(),
  }),
  // Texts that are no quantity or duration have their own finding.
  [
    {
      rule: "!has(self.maxBytes) || !isQuantity(string(self.maxBytes)) || quantity(string(self.maxBytes)).compareTo(quantity('1Mi')) >= 0",
      message: 'messaging.bus.maxBytes must be at least 1Mi',
      fieldPath: '.maxBytes',
      check: ({ maxBytes }) => (maxBytes === undefined ? 2 ** 20 : (quantityValue(maxBytes) ?? 2 ** 20)) >= 2 ** 20,
    },
    {
      rule: `!has(self.retention) || !self.retention.matches('${durationPattern}') || duration(self.retention) >= duration('1m')`,
      message: 'messaging.bus.retention must be at least 1m',
      fieldPath: '.retention',
      check: ({ retention = '1m' }) => (milliseconds(retention) ?? 60_000) >= 60_000,
    },
  ],
);

const specShape = shape('What you want.', {
  displayName: text('Name for people.', 128).optional(),
  suspend: flag('Stops all pods and closes the account; keeps all.').optional(),
  namespace,
  members: namedList(
    'Who may use the namespace.',
    shape('One member.', {
      kind: choiceOf('Kind of the subject.', ['User', 'Group']),
      name: text('Name as the API server knows it.', 253, {
        doc: 'A ServiceAccount is the User `system:serviceaccount:<namespace>:<name>`.',
      }),
      role: choiceOf('What the member may do.', ['Viewer', 'Operator', 'Editor']),
    }),
    0,
    64,
    ['kind', 'name'],
  ).optional(),
  quota: shape('How much the tenant may run.', {
    integrations: integer('Most Integrations; default 20.', 0, 10000).optional(),
    replicas: integer('Most worker pods; default 40.', 0, 100000).optional(),
    compute: quantityMap('Hard limits of the ResourceQuota.', 16).optional(),
  }).optional(),
  messaging: shape('Limits of the NATS account.', {
    storage: quantity('File storage of all streams; default 2Gi.').optional(),
    memory: quantity('Memory storage of all streams; default 0.').optional(),
    streams: integer('Most streams and buckets; default 100.', 0, 100000).optional(),
    connections: integer('Most connections of pods; default 200.', 0, 100000).optional(),
    maxPayload: quantity('Largest message with headers; default 1Mi.').optional(),
    replicas: integer('Copies of shared streams; default 1.', 1, 5).optional(),
    bus: bus.optional(),
  }).optional(),
  network: shape('What pods may reach and who may reach them.', {
    egress: shape('The ceiling for all Connections.', {
      allow: listOf('Destinations; empty is public addresses only.', destination, 0, 64, {
        doc: 'With entries, only these are open. Empty: every public address, nothing private, nothing of this cluster.',
      }).optional(),
    }).optional(),
    ingressFrom: listOf('Who else may reach the gateway.', origin, 0, 64, {
      doc: 'Pods of the own namespace always may.',
    }).optional(),
  }).optional(),
  workload: shape('What pods may ask for: allow-lists.', {
    nodeSelector: nodeSelector.optional(),
    tolerations: tolerations.optional(),
    priorityClassNames: listOf('Priority classes that may be used.', text('Priority class.'), 0, 32).optional(),
    runtimeClassName: optionalText('Runtime class of every pod.').optional(),
    registries: listOf('Image registries that may be used.', text('Registry.'), 0, 32).optional(),
  }).optional(),
  connectors: shape('Which connectors may be used.', {
    allow: listOf('Names of connectors; empty is all.', text('Connector.', 63), 0, 128).optional(),
  }).optional(),
  gateway: shape('The pods that listen.', {
    replicas: integer('Number of gateway pods; default 1.', 1, 100).optional(),
  }).optional(),
  deletionPolicy: deletionPolicy.optional(),
});

export const tenantTransitions: readonly Transition<z.infer<typeof specShape>>[] = [
  {
    // `namespace` is a word of CEL: the API server escapes the field.
    rule: 'self.__namespace__.name == oldSelf.__namespace__.name',
    message: 'the namespace of a Tenant cannot change; create another Tenant',
    fieldPath: '.namespace.name',
    check: (self, old) => self.namespace.name === old.namespace.name,
  },
];

export const tenantSpec = ruled(specShape, [], tenantTransitions);
export type TenantSpec = z.infer<typeof tenantSpec>;

export const tenantStatus = shape('What is.', {
  observedGeneration: observedGeneration.optional(),
  conditions: conditionList.optional(),
  namespace: shape('The namespace that the tenant holds.', {
    name: text('Name.', 63),
    uid: text('Unique id.', 64),
  }).optional(),
  account: shape('The NATS account.', {
    id: text('Public key.', 64),
    serversAcked: integer('Servers that hold the newest claims.', 0, 10000),
    serversTotal: integer('Servers that answered.', 0, 10000),
  }).optional(),
  integrations: shape('Integrations of the tenant.', {
    total: count('All.'),
    ready: count('With Ready=True.'),
  }).optional(),
});
export type TenantStatus = z.infer<typeof tenantStatus>;

export interface Tenant {
  readonly metadata: Metadata;
  readonly spec: TenantSpec;
}
