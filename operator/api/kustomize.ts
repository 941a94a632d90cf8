import { definitions } from './crds.ts';
import { group, type Kind, version } from './meta.ts';
import { annotated, type SchemaNode } from './openapi.ts';

/*
 * What kustomize has to know of our kinds, which it cannot read from a cluster: which lists merge by which keys, which kinds have no
 * namespace (`openapi:` of a kustomization), and which fields are names of other objects (`configurations:`).
 */
const gvkOf = ({ kind }: Kind) => ({ group, version, kind });

export const kustomizeOpenapi = () => ({
  swagger: '2.0',
  info: { title: 'Kanava for kustomize', version },
  paths: Object.fromEntries(
    definitions.map(({ kind }) => [
      `/apis/${group}/${version}/${kind.namespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}`,
      { get: { 'x-kubernetes-group-version-kind': gvkOf(kind), responses: {} } },
    ]),
  ),
  definitions: Object.fromEntries(
    definitions.map(({ kind, spec }) => [
      `dev.kanava.${version}.${kind.kind}`,
      {
        type: 'object',
        properties: { spec: merging(annotated(spec)) ?? { type: 'object' } },
        'x-kubernetes-group-version-kind': [gvkOf(kind)],
      },
    ]),
  ),
});

/** The way to the lists that merge, and nothing else: everything that is not named merges as maps do and lists do not. */
const merging = (node: SchemaNode): object | undefined => {
  const items = node.items && merging(node.items);
  const keys = node['x-kubernetes-list-map-keys'];
  if (keys) {
    const [key] = keys;
    const by = keys.length === 1 ? { 'x-kubernetes-patch-merge-key': key } : { 'x-kubernetes-list-map-keys': keys };
    return { type: 'array', 'x-kubernetes-patch-strategy': 'merge', ...by, items: items ?? { type: 'object' } };
  }
  if (items) return { type: 'array', items };
  const properties = Object.entries(node.properties ?? {}).flatMap(([name, property]) => {
    const found = merging(property);
    return found ? [[name, found] as const] : [];
  });
  return properties.length > 0 ? { type: 'object', properties: Object.fromEntries(properties) } : undefined;
};

interface Reference {
  readonly target: 'Connection' | 'Secret' | 'ConfigMap';
  readonly path: string;
}

/** `nameReference` of a kustomize transformer configuration: generated suffixes and prefixes of names reach those who name them. */
export const kustomizeNames = () => {
  const found = definitions.flatMap(({ kind, spec }) =>
    referencesBelow(annotated(spec), ['spec']).map((reference) => ({ kind, ...reference })),
  );
  const targets = [
    { kind: 'Connection', group },
    { kind: 'Secret', version: 'v1' },
    { kind: 'ConfigMap', version: 'v1' },
  ];
  return {
    nameReference: targets.map((target) => ({
      ...target,
      fieldSpecs: found
        .filter((reference) => reference.target === target.kind)
        .map(({ kind, path }) => ({ kind: kind.kind, group, path })),
    })),
  };
};

/** A step into a list has no name in the paths of kustomize. */
const referencesBelow = (node: SchemaNode, path: readonly string[]): Reference[] => {
  const at = [...path, 'name'].join('/');
  if (node['x-kanava-connection'] !== undefined) return [{ target: 'Connection', path: at }];
  if (path.at(-1) === 'secretKeyRef') return [{ target: 'Secret', path: at }];
  if (path.at(-1) === 'caRef')
    return [
      { target: 'Secret', path: at },
      { target: 'ConfigMap', path: at },
    ];
  const below = Object.entries(node.properties ?? {}).flatMap(([name, property]) =>
    referencesBelow(property, [...path, name]),
  );
  const values = typeof node.additionalProperties === 'object' ? referencesBelow(node.additionalProperties, path) : [];
  if (values.length > 0) throw new Error(`${path.join('/')}: kustomize has no path to references in a free map`);
  return [...below, ...(node.items ? referencesBelow(node.items, path) : [])];
};
