import type { JsonSchema } from './editor-schema.ts';

/* Parts of a JSON Schema that stand in several places move to `$defs`; a place keeps its own description beside the reference. */

/** Characters below which a reference would not be shorter to read. */
const smallest = 120;

export const withDefinitions = (root: JsonSchema): JsonSchema => {
  const uses = new Map<string, number>();
  const names = new Map<string, string>();
  const taken = new Set<string>();
  const visit = (schema: JsonSchema, name: string): void => {
    const content = contentOf(schema);
    const count = (uses.get(content) ?? 0) + 1;
    uses.set(content, count);
    if (count === 2 && content.length >= smallest) names.set(content, freeName(titleOf(schema) ?? name, taken));
    // Its parts are written once, however often it is used.
    if (count > 1) return;
    mapParts(schema, name, (part, partName) => {
      visit(part, partName);
      return part;
    });
  };
  visit(root, 'root');

  const $defs: Record<string, JsonSchema> = {};
  const shared = (schema: JsonSchema): JsonSchema => {
    const name = names.get(contentOf(schema));
    if (name === undefined) return mapParts(schema, '', shared);
    const { description, ...content } = schema;
    $defs[name] ??= mapParts(content, '', shared);
    return { ...(description === undefined ? {} : { description }), $ref: `#/$defs/${name}` };
  };
  const schema = shared(root);
  const sorted = Object.entries($defs).sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...schema, ...(sorted.length ? { $defs: Object.fromEntries(sorted) } : {}) };
};

const contentOf = (schema: JsonSchema): string => JSON.stringify({ ...schema, description: undefined });
const titleOf = ({ title }: JsonSchema): string | undefined => (typeof title === 'string' ? title : undefined);

const freeName = (name: string, taken: Set<string>): string => {
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${name}${number}`;
  taken.add(free);
  return free;
};

/** The schema with its direct parts replaced. */
const mapParts = (
  schema: JsonSchema,
  name: string,
  change: (part: JsonSchema, name: string) => JsonSchema,
): JsonSchema =>
  Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      if (keyword === 'properties') {
        const parts = Object.entries(value as Record<string, JsonSchema>);
        return [keyword, Object.fromEntries(parts.map(([key, part]) => [key, change(part, key)]))];
      }
      // Conditions read better where they stand; what they say of a field may be shared.
      if (keyword === 'allOf') return [keyword, (value as JsonSchema[]).map((part) => mapParts(part, name, change))];
      if (keyword === 'then') return [keyword, mapParts(value as JsonSchema, name, change)];
      const isPart = ['items', 'additionalProperties'].includes(keyword) && typeof value === 'object';
      return [keyword, isPart ? change(value as JsonSchema, `${name}-item`) : value];
    }),
  );
