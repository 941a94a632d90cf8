import type { SchemaNode } from './openapi.ts';

export type Path = readonly (string | number)[];

/** Visits every part of a value together with the schema that describes it, parents first. */
export const walkSchema = (
  node: SchemaNode,
  value: unknown,
  path: Path,
  visit: (node: SchemaNode, value: unknown, path: Path) => void,
): void => {
  if (value === undefined || value === null) return;
  visit(node, value, path);
  if (Array.isArray(value)) {
    const { items } = node;
    if (items) for (const [index, item] of value.entries()) walkSchema(items, item, [...path, index], visit);
    return;
  }
  if (typeof value !== 'object') return;
  const { properties, additionalProperties } = node;
  for (const [key, item] of Object.entries(value)) {
    const below = properties?.[key] ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined);
    if (below) walkSchema(below, item, [...path, key], visit);
  }
};

/** The schema of one place, if there is one. */
export const schemaAt = (node: SchemaNode | undefined, path: Path): SchemaNode | undefined => {
  let at = node;
  for (const part of path) {
    const below = at?.additionalProperties;
    at =
      typeof part === 'number'
        ? at?.items
        : (at?.properties?.[part] ?? (typeof below === 'object' ? below : undefined));
  }
  return at;
};

/** `spec.sources[0].http`, as the API server writes paths. */
export const pathText = (path: Path): string =>
  path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index ? '.' : ''}${part}`)).join('');
