import { describe, expect, test } from 'vitest';
import { createStore } from '../../../operator/control/store.ts';
import { cached, withoutManagedFields } from '../../../operator/control/watch-event.ts';
import type { KubeObject } from '../../../operator/reconcile/ports.ts';

const object = (name: string, resourceVersion: string, changes: object = {}): KubeObject => ({
  apiVersion: 'kanava.dev/v1alpha1',
  kind: 'Integration',
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, generation: 1, resourceVersion, ...changes },
  spec: { sinks: [] },
});

describe('a list of the cache', () => {
  test('is the same one until something in it changes', () => {
    const store = createStore();
    store.put(object('orders', '1'));
    const [all, shop, other] = [store.list(), store.list({ namespace: 'shop' }), store.list({ namespace: 'other' })];
    expect(store.list()).toBe(all);
    expect(store.list({ namespace: 'shop' })).toBe(shop);
    store.put(object('orders', '1'));
    expect(store.list()).toBe(all);

    store.put(object('orders', '2'));
    expect(store.list()).not.toBe(all);
    expect(store.list({ namespace: 'shop' })[0]?.metadata.resourceVersion).toBe('2');
    expect(store.list({ namespace: 'other' })).toBe(other);

    store.remove(object('orders', '2'), '3');
    expect([store.list(), store.list({ namespace: 'shop' })]).toEqual([[], []]);
  });
});

describe('a newer version of a cached object', () => {
  const keep = (newer: KubeObject, known?: KubeObject) => cached(newer, withoutManagedFields, known);
  const known = keep(object('orders', '1'));

  test('shares the spec of the same generation', () => {
    const newer = keep(object('orders', '2'), known);
    expect(newer['spec']).toBe(known['spec']);
    expect(newer.metadata.resourceVersion).toBe('2');
  });

  test('keeps its own, when it is of another generation, of another object, or none is counted', () => {
    for (const changes of [{ generation: 2 }, { uid: 'uid-of-another' }, { generation: undefined }])
      expect(keep(object('orders', '2', changes), known)['spec']).not.toBe(known['spec']);
    const uncounted = keep(object('orders', '1', { generation: undefined }));
    expect(keep(object('orders', '2', { generation: undefined }), uncounted)['spec']).not.toBe(uncounted['spec']);
  });
});
