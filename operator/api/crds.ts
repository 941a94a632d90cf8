import type { z } from 'zod';
import { connectionSpec, connectionStatus } from './connection.ts';
import { integrationSpec, integrationStatus } from './integration.ts';
import {
  Connections,
  crdName,
  group,
  Integrations,
  type Kind,
  schemaRevision,
  schemaRevisionAnnotation,
  Tenants,
  version,
} from './meta.ts';
import { type SchemaNode, structural } from './openapi.ts';
import { nameRule } from './parse.ts';
import { tenantSpec, tenantStatus } from './tenant.ts';

/* The CustomResourceDefinitions as objects; `generate.ts` writes them. */

interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 1: with `-o wide` only. */
  readonly priority?: number;
}
const condition = (type: string, field: 'status' | 'reason' | 'message') =>
  `.status.conditions[?(@.type=="${type}")].${field}`;
const ready: Column = {
  name: 'Ready',
  type: 'string',
  jsonPath: condition('Ready', 'status'),
  description: 'Whether it does what its spec says.',
};
const state: Column = {
  name: 'State',
  type: 'string',
  jsonPath: condition('Ready', 'reason'),
  description: 'In a word.',
};
const age: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since it was made.',
};
const message: Column = {
  name: 'Message',
  type: 'string',
  priority: 1,
  jsonPath: condition('Ready', 'message'),
  description: 'What, where and what to do.',
};

interface Definition {
  readonly kind: Kind;
  readonly about: string;
  readonly shortName: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly columns: readonly Column[];
  readonly scale?: unknown;
  readonly selectableFields?: readonly { jsonPath: string }[];
}

export const definitions: readonly Definition[] = [
  {
    kind: Tenants,
    about: 'A wall: namespace, NATS account, quotas, policies.',
    shortName: 'ktenant',
    spec: tenantSpec,
    status: tenantStatus,
    columns: [
      ready,
      state,
      { name: 'Namespace', type: 'string', jsonPath: '.spec.namespace.name', description: 'Its namespace.' },
      {
        name: 'Integrations',
        type: 'integer',
        jsonPath: '.status.integrations.total',
        description: 'Number of Integrations.',
      },
      age,
      message,
    ],
  },
  {
    kind: Connections,
    about: 'Endpoint and credentials that Integrations share.',
    shortName: 'kconn',
    spec: connectionSpec,
    status: connectionStatus,
    columns: [
      ready,
      state,
      { name: 'Host', type: 'string', jsonPath: '.status.endpoints[0].host', description: 'Where it leads.' },
      { name: 'Used-By', type: 'integer', jsonPath: '.status.usedBy', description: 'Integrations that name it.' },
      age,
      message,
    ],
  },
  {
    kind: Integrations,
    about: 'A flow of messages: sources, steps, sinks.',
    shortName: 'kint',
    spec: integrationSpec,
    status: integrationStatus,
    scale: {
      specReplicasPath: '.spec.scaling.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    },
    selectableFields: [{ jsonPath: '.spec.suspend' }],
    columns: [
      ready,
      state,
      { name: 'Pods', type: 'integer', jsonPath: '.status.replicas', description: 'Number of worker pods.' },
      {
        name: 'Pending',
        type: 'integer',
        jsonPath: '.status.lag.pending',
        description: 'Messages that wait, roughly.',
      },
      {
        name: 'Failed',
        type: 'integer',
        jsonPath: '.status.deadLetters.count',
        description: 'Dead letters that are kept.',
      },
      { name: 'Last-Msg', type: 'date', jsonPath: '.status.lastMessageTime', description: 'Since the last message.' },
      age,
      {
        name: 'Sources',
        type: 'string',
        priority: 1,
        jsonPath: '.status.sources',
        description: 'Where messages come from.',
      },
      { name: 'Sinks', type: 'string', priority: 1, jsonPath: '.status.sinks', description: 'Where messages go.' },
      message,
    ],
  },
];

export const crdOf = ({ kind, about, shortName, spec, status, columns, scale, selectableFields }: Definition) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: crdName(kind), annotations: { [schemaRevisionAnnotation]: String(schemaRevision) } },
  spec: {
    group,
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    names: {
      kind: kind.kind,
      listKind: `${kind.kind}List`,
      plural: kind.plural,
      singular: kind.kind.toLowerCase(),
      shortNames: [shortName],
      categories: ['kanava'],
    },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: rootSchema(about, spec, status) },
        subresources: { status: {}, ...(scale === undefined ? {} : { scale }) },
        additionalPrinterColumns: columns,
        ...(selectableFields === undefined ? {} : { selectableFields }),
      },
    ],
  },
});
export type Crd = ReturnType<typeof crdOf>;

const rootSchema = (about: string, spec: z.ZodType, status: z.ZodType): SchemaNode => ({
  description: about,
  type: 'object',
  required: ['spec'],
  properties: {
    apiVersion: { description: 'Version of the API that it is written in.', type: 'string' },
    kind: { description: 'Kind of the object.', type: 'string' },
    metadata: { type: 'object' },
    spec: structural(spec),
    // The one default: without it a new object looks ready to `helm --wait` before the operator has seen it.
    status: { ...structural(status), default: { observedGeneration: -1 } },
  },
  'x-kubernetes-validations': [nameRule],
});
