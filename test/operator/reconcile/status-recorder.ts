import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kinds } from '../../../operator/api/meta.ts';
import { apiPath, resourceName } from '../../../operator/kube/api-path.ts';
import { Deployments } from '../../../operator/plan/kinds.ts';
import type { KubeObject, ResourceKind } from '../../../operator/reconcile/ports.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { statusesFolder } from '../../cluster/settings.ts';
import { type Version, watchAll } from '../../cluster/watch.ts';

/*
 * Every version of Tenants, Connections, Integrations and Deployments that an API server stores while tests use it, in the order in which
 * it stored them.
 */
export type StoredVersion = Version<KubeObject>;
export interface StatusRecorder {
  /** Ends when everything that is stored by now was seen. */
  stop(): Promise<readonly StoredVersion[]>;
}

const recorded: readonly ResourceKind[] = [...kinds, Deployments];

/** One etcd counts for all kinds, so numbers of versions compare. */
export const revisionOf = ({ metadata }: KubeObject): number => Number(metadata.resourceVersion);

export const recordStatuses = (api: KubeApi): StatusRecorder => {
  const versions: StoredVersion[] = [];
  /** By uid: a bench has thousands of objects, and tens of thousands of their versions. */
  const newest = new Map<string | undefined, number>();
  const record = (version: StoredVersion) => {
    versions.push(version);
    const { uid } = version.object.metadata;
    newest.set(uid, Math.max(newest.get(uid) ?? 0, revisionOf(version.object)));
  };
  const stopped = new AbortController();
  const problems: unknown[] = [];
  const watching = recorded.map((kind) =>
    watchAll<KubeObject>(api, apiPath(kind, {}), record, stopped.signal).catch((error: unknown) =>
      problems.push(error),
    ),
  );
  const isSeen = (stored: KubeObject) => (newest.get(stored.metadata.uid) ?? 0) >= revisionOf(stored);
  return {
    stop: async () => {
      const names = recorded.map(resourceName).join();
      const { items } = JSON.parse(
        await mustKubectl(api.kubectl, ['get', names, '-A', '-o', 'json'], { timeout: 600_000 }),
      ) as {
        items: KubeObject[];
      };
      for (const end = performance.now() + 20_000; !items.every(isSeen) && performance.now() < end; ) await sleep(20);
      stopped.abort();
      await Promise.all(watching);
      if (problems.length > 0) throw new Error('the record of statuses has a gap', { cause: problems[0] });
      return versions.toSorted((a, b) => revisionOf(a.object) - revisionOf(b.object));
    },
  };
};

/** Where `node test/gitops/main.ts` collects what the tests recorded. */
export const keepStatuses = async (versions: readonly StoredVersion[]): Promise<void> => {
  if (!statusesFolder) return;
  const objects = versions.map(({ object }) => object).filter(({ kind }) => kind !== 'Deployment');
  await writeFile(join(statusesFolder, `${randomUUID()}.json`), JSON.stringify(objects));
};
