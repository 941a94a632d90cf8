import type { SchemaNode } from './openapi.ts';

export type Path = readonly (string | number)[];

/**
 * Visits every part of a value together with the schema that describes it, parents first. The path is lent, since few visits keep it: it is
 * another one after the visit.
 */
export const walkSchema = (
  schema: SchemaNode,
  whole: unknown,
  root: Path,
  visit: (node: SchemaNode, value: unknown, path: Path) => void,
): void => {
  const path = [...root];
  const below = (node: SchemaNode, part: string | number, value: unknown) => {
    path.push(part);
    walk(node, value);
    path.pop();
  };
  const walk = (node: SchemaNode, value: unknown): void => {
    if (value === undefined || value === null) return;
    visit(node, value, path);
    if (Array.isArray(value)) {
      const { items } = node;
      if (items) for (let index = 0; index < value.length; index += 1) below(items, index, value[index]);
      return;
    }
    if (typeof value !== 'object') return;
    const { properties, additionalProperties } = node;
    const others = typeof additionalProperties === 'object' ? additionalProperties : undefined;
    for (const key of Object.keys(value)) {
      const schemaOfKey = properties?.[key] ?? others;
      if (schemaOfKey) below(schemaOfKey, key, (value as Record<string, unknown>)[key]);
    }
  };
  walk(schema, whole);
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
