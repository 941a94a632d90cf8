import { setTimeout as sleep } from 'node:timers/promises';
import { withoutManagedFields } from '../control/watch-event.ts';
import { withoutCredentials } from '../plan/credentials.ts';
import { Secrets } from '../plan/kinds.ts';
import type { SecretWatches } from './context.ts';
import type { KubeObject, ResourceKind } from './ports.ts';
import type { Change } from './wake.ts';

interface Watch {
  readonly synced: Promise<void>;
  hasSynced(): boolean;
  close(): Promise<void>;
}
interface Watching {
  watch(
    kind: ResourceKind,
    onChange: (change: Change) => void,
    options: { namespace: string; trim: (object: KubeObject) => KubeObject },
  ): Watch;
}
const trim = (secret: KubeObject) => withoutCredentials(withoutManagedFields(secret));

/** A fresh RoleBinding takes effect in well under a second. */
const syncWithinMs = 10_000;

/** One watch of Secrets for each tenant's namespace, as long as the tenant has it. */
export const createSecretWatches = (kube: Watching, onChange: (change: Change) => void): SecretWatches => {
  const open = new Map<string, Watch>();
  return {
    open: async (namespace) => {
      const tell = (change: Change) => onChange(watch.hasSynced() ? change : { ...change, isFirst: true });
      const watch: Watch = open.get(namespace) ?? kube.watch(Secrets, tell, { namespace, trim });
      open.set(namespace, watch);
      if (watch.hasSynced()) return;
      const timeout = new AbortController();
      await Promise.race([watch.synced, sleep(syncWithinMs, undefined, { signal: timeout.signal })]);
      timeout.abort();
      if (!watch.hasSynced())
        throw new Error(`the Secrets of namespace ${namespace} could not be read within ${syncWithinMs / 1000} s`);
    },
    close: (namespace) => {
      void open.get(namespace)?.close();
      open.delete(namespace);
    },
  };
};
