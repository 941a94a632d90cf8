import { regExpProblem } from './linear-regexp.ts';

/*
 * What is wrong with a JSON Schema 2020-12, found by looking at it. It is never compiled here: that makes code from it, which is the
 * worker's business and not the operator's. What passes must compile, check a body in bounded time per value, and mean something: unknown
 * keywords are typing mistakes.
 */
export interface SchemaProblem {
  readonly path: Path;
  readonly message: string;
}
type Path = readonly (string | number)[];
type Schema = Readonly<Record<string, unknown>>;

const dialect = 'https://json-schema.org/draft/2020-12/schema';
const largestBytes = 64 * 1024;
const deepest = 64;
/** Subschemas that look at one and the same value. */
const mostAtOnce = 1_000;
const mostProblems = 10;

type Check = (value: unknown) => string | undefined;
const must =
  (holds: (value: unknown) => boolean, message: string): Check =>
  (value) =>
    holds(value) ? undefined : message;
const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(isText) && new Set(value).size === value.length;
const text = must(isText, 'must be a string');
const texts = must(isTexts, 'must be a list of different strings');
const finite = must(Number.isFinite, 'must be a number');
const count = must((value) => Number.isInteger(value) && (value as number) >= 0, 'must be a whole number from 0');
const bool = must((value) => typeof value === 'boolean', 'must be true or false');
const anything: Check = () => undefined;
const types = ['null', 'boolean', 'object', 'array', 'number', 'integer', 'string'];
const isType = (value: unknown) => isText(value) && types.includes(value);

/** Keywords that hold no schema. */
const plain: Readonly<Record<string, Check>> = {
  $schema: must((value) => isText(value) && value.replace(/#$/, '') === dialect, `must be ${dialect}, or absent`),
  $id: text,
  $anchor: must((value) => isText(value) && /^[A-Za-z_][-A-Za-z0-9._]*$/.test(value), 'must be a name such as address'),
  $ref: must(
    (value) => isText(value) && value.startsWith('#'),
    'must refer to this schema itself, such as #/$defs/address: nothing is fetched',
  ),
  $comment: text,
  title: text,
  description: text,
  default: anything,
  examples: must(Array.isArray, 'must be a list'),
  deprecated: bool,
  readOnly: bool,
  writeOnly: bool,
  format: text,
  contentEncoding: text,
  contentMediaType: text,
  type: must(
    (value) => isType(value) || (isTexts(value) && value.length > 0 && value.every(isType)),
    `must be one or several of: ${types.join(', ')}`,
  ),
  enum: must((value) => Array.isArray(value) && value.length > 0, 'must be a list with at least one value'),
  const: anything,
  multipleOf: must((value) => Number.isFinite(value) && (value as number) > 0, 'must be a number above 0'),
  maximum: finite,
  exclusiveMaximum: finite,
  minimum: finite,
  exclusiveMinimum: finite,
  maxLength: count,
  minLength: count,
  pattern: (value) => text(value) ?? regExpProblem(value as string),
  maxItems: count,
  minItems: count,
  uniqueItems: bool,
  maxContains: count,
  minContains: count,
  maxProperties: count,
  minProperties: count,
  required: texts,
  dependentRequired: must((value) => isRecord(value) && Object.values(value).every(isTexts), 'must map names to names'),
};

/* Keywords that hold schemas. */
const single = [
  'additionalProperties',
  'unevaluatedProperties',
  'propertyNames',
  'items',
  'unevaluatedItems',
  'contains',
];
const conditional = ['not', 'if', 'then', 'else'];
const lists = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const maps = ['$defs', 'properties', 'patternProperties', 'dependentSchemas'];
const formOf: ReadonlyMap<string, 'one' | 'list' | 'map'> = new Map([
  ...[...single, ...conditional].map((keyword) => [keyword, 'one'] as const),
  ...lists.map((keyword) => [keyword, 'list'] as const),
  ...maps.map((keyword) => [keyword, 'map'] as const),
]);
/** Those whose schemas look at the same value as the schema around them. */
const inPlace: ReadonlySet<string> = new Set([...conditional, 'allOf', 'anyOf', 'oneOf', 'dependentSchemas']);
const known = [...Object.keys(plain), ...formOf.keys()];

interface Place {
  readonly path: Path;
  readonly schema: Schema;
  /** Schemas within it that look at the same value. */
  readonly inPlace: Place[];
}

/** At most ten problems; none: the schema can be compiled. */
export const schemaProblems = (root: unknown): SchemaProblem[] => {
  const bytes = Buffer.byteLength(JSON.stringify(root) ?? '');
  if (bytes > largestBytes) {
    return [{ path: [], message: `a schema has at most ${largestBytes / 1024} KiB, this one has ${bytes} bytes` }];
  }
  const problems: SchemaProblem[] = [];
  const places = new Map<string, Place>();
  const anchors = new Map<string, Place>();

  const visit = (value: unknown, path: Path): Place | undefined => {
    if (typeof value === 'boolean' && path.length > 0) value = {};
    if (!isRecord(value)) {
      problems.push({ path, message: 'must be a schema: an object, true or false' });
      return undefined;
    }
    if (path.length > deepest) {
      problems.push({ path, message: `a schema is at most ${deepest} levels deep` });
      return undefined;
    }
    const place: Place = { path, schema: value, inPlace: [] };
    places.set(pointer(path), place);
    for (const [keyword, content] of Object.entries(value)) visitKeyword(place, keyword, content);
    return place;
  };

  const visitKeyword = (place: Place, keyword: string, content: unknown) => {
    const path = [...place.path, keyword];
    const check = Object.hasOwn(plain, keyword) ? plain[keyword] : undefined;
    const form = formOf.get(keyword);
    if (check) {
      const message = check(content);
      if (message) problems.push({ path, message });
      else if (keyword === '$anchor') addAnchor(place, content as string);
      else if (keyword === '$id' && place.path.length > 0) {
        problems.push({ path, message: 'is possible at the root of the schema only' });
      }
    } else if (form) {
      for (const [value, at] of held(form, content, path, problems)) {
        if (keyword === 'patternProperties') {
          const message = regExpProblem(String(at.at(-1)));
          if (message) problems.push({ path: at, message });
        }
        // JSON.parse makes it a property like any other, the validator cannot.
        if (at.at(-1) === '__proto__') problems.push({ path: at, message: 'no field can have this name' });
        const below = visit(value, at);
        if (below && inPlace.has(keyword)) place.inPlace.push(below);
      }
    } else if (!keyword.startsWith('x-')) {
      problems.push({ path, message: `is no keyword that can be used; there are: ${known.join(', ')}` });
    }
  };

  const addAnchor = (place: Place, name: string) => {
    if (anchors.has(name)) problems.push({ path: [...place.path, '$anchor'], message: `"${name}" is there already` });
    else anchors.set(name, place);
  };

  visit(root, []);
  for (const place of places.values()) {
    const { $ref: ref } = place.schema;
    if (!isText(ref) || !ref.startsWith('#')) continue;
    const name = decoded(ref.slice(1));
    const target = anchors.get(name) ?? places.get(name);
    if (target) place.inPlace.push(target);
    else problems.push({ path: [...place.path, '$ref'], message: `"${ref}" is no schema in this schema` });
  }
  return (problems.length > 0 ? problems : endless([...places.values()])).slice(0, mostProblems);
};

/** The schema, with `change` made to it and to every schema within it; values that only look like schemas stay. */
export const mapSchemas = (schema: unknown, change: (schema: Schema) => Schema): unknown => {
  if (!isRecord(schema)) return schema;
  const below = (item: unknown) => mapSchemas(item, change);
  const content = (keyword: string, value: unknown): unknown => {
    const form = formOf.get(keyword);
    if (form === 'one') return below(value);
    if (form === 'list') return (value as unknown[]).map(below);
    return form === 'map' ? mapValues(value as Schema, below) : value;
  };
  return change(mapValues(schema, (value, keyword) => content(keyword, value)));
};
const mapValues = (record: Schema, map: (value: unknown, key: string) => unknown): Schema =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));

/** The schemas in a keyword's content with their paths. */
const held = (form: 'one' | 'list' | 'map', content: unknown, path: Path, problems: SchemaProblem[]) => {
  if (form === 'one') return [[content, path] as const];
  if (form === 'list' ? Array.isArray(content) && content.length > 0 : isRecord(content)) {
    return Object.entries(content as object).map(
      ([key, value]) => [value as unknown, [...path, form === 'list' ? Number(key) : key]] as const,
    );
  }
  problems.push({
    path,
    message: form === 'list' ? 'must be a list with at least one schema' : 'must map names to schemas',
  });
  return [];
};

/** A schema that leads back to itself at the same value never ends; many that lead to many take too long. */
const endless = (places: readonly Place[]): SchemaProblem[] => {
  const costs = new Map<Place, number>();
  const problems: SchemaProblem[] = [];
  const costOf = (place: Place, trail: readonly Place[]): number => {
    const found = costs.get(place);
    if (found !== undefined) return found;
    if (trail.includes(place)) {
      const circle = [...trail.slice(trail.indexOf(place)), place].map(({ path }) => `#${pointer(path)}`);
      problems.push({ path: place.path, message: `refers to itself without end: ${circle.join(' -> ')}` });
      return 0;
    }
    const cost = place.inPlace.reduce((sum, below) => sum + costOf(below, [...trail, place]), 1);
    costs.set(place, cost);
    if (cost > mostAtOnce && place.inPlace.every((below) => (costs.get(below) ?? 0) <= mostAtOnce)) {
      problems.push({ path: place.path, message: `looks at one value more than ${mostAtOnce} times; simplify it` });
    }
    return cost;
  };
  for (const place of places) costOf(place, []);
  return problems;
};

/** A fragment of a URI without its percent signs. */
const decoded = (fragment: string): string => {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
};

/** RFC 6901. */
const pointer = (path: Path): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

const isRecord = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
