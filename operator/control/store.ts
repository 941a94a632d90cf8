import type { KubeObject } from '../reconcile/ports.ts';

/** What a watch saw. An object that was deleted and made again under its name is two changes, told apart by uid. */
export interface Change {
  readonly type: 'added' | 'updated' | 'deleted';
  readonly object: KubeObject;
  /** The object before an update. */
  readonly previous?: KubeObject;
  /** It is the answer to a write of our own. */
  readonly isOwn?: boolean;
}
export interface Filter {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}
export interface Store {
  get(name: string, namespace?: string): KubeObject | undefined;
  /** Without labels the same list as long as nothing in it has changed, so what is made of it can be remembered. */
  list(filter?: Filter): readonly KubeObject[];
  size(): number;
  /** Takes a newer object; an older one changes nothing. */
  put(object: KubeObject): Change[];
  /** Takes what the server has, newer or not. */
  force(object: KubeObject): Change[];
  /** The object was deleted at this resource version; what is newer (made again) stays. */
  remove(object: KubeObject, resourceVersion: string): Change[];
}

const isNumber = /^[1-9]\d*$/;
/**
 * Since Kubernetes 1.35 resource versions of a kind are documented to be ordered integers of any length; before, they were so in fact.
 * A server that makes others is believed in the order in which it speaks.
 */
export const isNewer = (candidate: string, known: string): boolean => {
  if (!isNumber.test(candidate) || !isNumber.test(known)) return candidate !== known;
  return candidate.length === known.length ? candidate > known : candidate.length > known.length;
};
export const versionOf = (object: KubeObject): string => object.metadata.resourceVersion ?? '';

const withLabels = (objects: readonly KubeObject[], labels: Readonly<Record<string, string>> = {}): KubeObject[] => {
  const wanted = Object.entries(labels);
  return objects.filter(({ metadata }) => wanted.every(([name, value]) => metadata.labels?.[name] === value));
};
export const hasLabels = (object: KubeObject, labels?: Readonly<Record<string, string>>): boolean =>
  withLabels([object], labels).length > 0;

export const createStore = (): Store => {
  /** By namespace ('' = cluster), then by name. */
  const namespaces = new Map<string, Map<string, KubeObject>>();
  const get = (name: string, namespace = '') => namespaces.get(namespace)?.get(name);
  /** By namespace; `undefined` is everything. */
  const lists = new Map<string | undefined, readonly KubeObject[]>();
  const changed = (namespace: string) => {
    lists.delete(namespace);
    lists.delete(undefined);
  };
  const set = (object: KubeObject) => {
    const { name, namespace = '' } = object.metadata;
    changed(namespace);
    const objects = namespaces.get(namespace) ?? new Map<string, KubeObject>();
    namespaces.set(namespace, objects.set(name, object));
  };
  const force = (object: KubeObject): Change[] => {
    const known = get(object.metadata.name, object.metadata.namespace);
    set(object);
    if (!known) return [{ type: 'added', object }];
    if (known.metadata.uid === object.metadata.uid) return [{ type: 'updated', object, previous: known }];
    return [
      { type: 'deleted', object: known },
      { type: 'added', object },
    ];
  };
  const listed = (namespace: string | undefined): readonly KubeObject[] => {
    const known = lists.get(namespace);
    if (known) return known;
    const within = namespace === undefined ? namespaces.values() : [namespaces.get(namespace)];
    const objects = Object.freeze([...within].flatMap((one) => [...(one?.values() ?? [])]));
    lists.set(namespace, objects);
    return objects;
  };
  return {
    get,
    list: ({ namespace, labels } = {}) => {
      const found = listed(namespace);
      return labels ? withLabels(found, labels) : found;
    },
    size: () => namespaces.values().reduce((sum, objects) => sum + objects.size, 0),
    put: (object) => {
      const known = get(object.metadata.name, object.metadata.namespace);
      return known && !isNewer(versionOf(object), versionOf(known)) ? [] : force(object);
    },
    force,
    remove: ({ metadata: { name, namespace = '' } }, resourceVersion) => {
      const objects = namespaces.get(namespace);
      const known = objects?.get(name);
      if (!objects || !known || isNewer(versionOf(known), resourceVersion)) return [];
      changed(namespace);
      objects.delete(name);
      if (objects.size === 0) namespaces.delete(namespace);
      return [{ type: 'deleted', object: known }];
    },
  };
};
