/*
 * What an etcd holds, key by key, read and written past the API server in front of it (whose caches follow by their watches). By etcd's JSON
 * gateway, where keys and values are base64.
 */
interface Entry {
  readonly key: string;
  readonly value: string;
  /** Keys with a lease come and go by themselves. */
  readonly lease?: string;
}
export type Keys = ReadonlyMap<string, Entry>;

const encoded = (text: string): string => Buffer.from(text).toString('base64');
const ask = async (url: string, path: string, body: object): Promise<unknown> => {
  const response = await fetch(`${url}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok)
    throw new Error(`etcd at ${url} answered ${path} with ${response.status}: ${await response.text()}`);
  return response.json();
};

export const readKeys = async (url: string): Promise<Keys> => {
  const all = { key: encoded('/'), range_end: encoded('0') };
  const { kvs = [] } = (await ask(url, 'range', all)) as { kvs?: Entry[] };
  return new Map(kvs.map((entry) => [Buffer.from(entry.key, 'base64').toString(), entry]));
};

/** Names of the keys that were made, changed or removed between two looks, but for those that the server itself keeps renewing. */
export const changedKeys = (before: Keys, after: Keys): string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter((name) => {
    const [old, found] = [before.get(name), after.get(name)];
    const isRenewed = name.startsWith('/registry/leases/kube-system/apiserver-') || old?.lease !== undefined;
    return !isRenewed && old?.value !== found?.value;
  });

/** etcd takes 128 operations in a transaction. */
const most = 100;

/** Gives these keys the values that they had then, or none. */
export const putBack = async (url: string, names: readonly string[], then: Keys): Promise<void> => {
  for (let from = 0; from < names.length; from += most) {
    const success = names.slice(from, from + most).map((name) => {
      const old = then.get(name);
      return old
        ? { request_put: { key: old.key, value: old.value } }
        : { request_delete_range: { key: encoded(name) } };
    });
    await ask(url, 'txn', { success });
  }
};
