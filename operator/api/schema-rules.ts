import type { SchemaNode } from './openapi.ts';

/* What every schema of ours must keep, whoever adds a connector: findings name the field. */

export const longestDescription = 60;
/** Bytes of a compact CRD; etcd and Helm releases carry it whole. */
export const largestCrd = 240_000;

/** YAML 1.1 reads these as booleans when they stand without quotes. */
const booleans: ReadonlySet<string> = new Set(['y', 'n', 'yes', 'no', 'on', 'off', 'true', 'false']);

export const schemaFindings = (node: SchemaNode, path: string): string[] => [
  ...own(node, path).map((text) => `${path} ${text}`),
  ...Object.entries(node.properties ?? {}).flatMap(([name, below]) => [
    ...(booleans.has(name.toLowerCase()) ? [`${path}.${name} is a boolean in YAML 1.1; rename it`] : []),
    ...(below.description ? [] : [`${path}.${name} has no description`]),
    ...schemaFindings(below, `${path}.${name}`),
  ]),
  ...(node.items ? schemaFindings(node.items, `${path}[]`) : []),
  ...(typeof node.additionalProperties === 'object' ? schemaFindings(node.additionalProperties, `${path}.*`) : []),
];

const own = (node: SchemaNode, path: string): string[] => {
  const { description = '', enum: values = [] } = node;
  return [
    ...(description.length > longestDescription
      ? [`has a description of ${description.length} characters, at most ${longestDescription}: "${description}"`]
      : []),
    ...values
      // Conditions are Kubernetes' own, and users do not write them.
      .filter((value) => booleans.has(String(value).toLowerCase()) && !path.endsWith('.conditions[].status'))
      .map((value) => `has the value ${String(value)}, a boolean in YAML 1.1; rename it`),
    ...(isUnbounded(node) ? [`is an unbounded ${node.type}; give it a maximum`] : []),
  ];
};

const isUnbounded = (node: SchemaNode): boolean =>
  (node.type === 'string' && node.maxLength === undefined && node.enum === undefined) ||
  (node.type === 'array' && node.maxItems === undefined) ||
  (typeof node.additionalProperties === 'object' && node.maxProperties === undefined);
