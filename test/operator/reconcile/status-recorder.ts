import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kinds } from '../../../operator/api/meta.ts';
import { apiPath, resourceName } from '../../../operator/kube/api-path.ts';
import { Deployments } from '../../../operator/plan/kinds.ts';
import type { KubeObject, ResourceKind } from '../../../operator/reconcile/ports.ts';
import type { KubeApi } from '../../cluster/kube-api.ts';
import { mustKubectl } from '../../cluster/kubectl.ts';
import { statusesFolder } from '../../cluster/settings.ts';

/*
 * Every version of Tenants, Connections, Integrations and Deployments that an API server stores while tests use it, in the order in which
 * it stored them. A watch of the test's own: kubectl and caches may leave versions out.
 */
export interface Version {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}
export interface StatusRecorder {
  /** Ends when everything that is stored by now was seen. */
  stop(): Promise<readonly Version[]>;
}

const recorded: readonly ResourceKind[] = [...kinds, Deployments];

/** One etcd counts for all kinds, so numbers of versions compare. */
export const revisionOf = ({ metadata }: KubeObject): number => Number(metadata.resourceVersion);

export const recordStatuses = (api: KubeApi): StatusRecorder => {
  const versions: Version[] = [];
  const stopped = new AbortController();
  const problems: unknown[] = [];
  const watching = recorded.map((kind) =>
    watchAll(api, kind, (version) => versions.push(version), stopped.signal).catch((error: unknown) =>
      problems.push(error),
    ),
  );
  const isSeen = (stored: KubeObject) =>
    versions.some(
      ({ object }) => object.metadata.uid === stored.metadata.uid && revisionOf(object) >= revisionOf(stored),
    );
  return {
    stop: async () => {
      const names = recorded.map(resourceName).join();
      const { items } = JSON.parse(await mustKubectl(api.kubectl, ['get', names, '-A', '-o', 'json'])) as {
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

const watchAll = async (api: KubeApi, kind: ResourceKind, see: (version: Version) => void, signal: AbortSignal) => {
  let from = '0';
  while (!signal.aborted) {
    await watchOnce(
      api,
      `${apiPath(kind, {})}?watch=true&timeoutSeconds=3600&resourceVersion=${from}`,
      signal,
      (line) => {
        const event = JSON.parse(line) as Version | { readonly type: 'ERROR'; readonly object: unknown };
        if (event.type === 'ERROR') throw new Error(`watch of ${kind.plural}: ${JSON.stringify(event.object)}`);
        from = event.object.metadata.resourceVersion ?? from;
        see(event);
      },
    );
    // The server is away; it keeps what happened meanwhile.
    await sleep(100, undefined, { signal }).catch(() => {});
  }
};

const watchOnce = (api: KubeApi, path: string, signal: AbortSignal, seeLine: (line: string) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    const tls = { ca: api.ca, cert: api.adminCert, key: api.adminKey };
    const sent = request(`${api.url}${path}`, { ...tls, agent: false, signal }, (response) => {
      const { statusCode = 0 } = response;
      if (statusCode === 410) reject(new Error(`${path}: the server has forgotten what happened meanwhile`));
      // A kind that is not served yet, or a server that is not ready yet.
      if (statusCode !== 200) {
        response.resume();
        resolve();
        return;
      }
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const lines = `${rest}${chunk}`.split('\n');
        rest = lines.pop() ?? '';
        try {
          for (const line of lines) seeLine(line);
        } catch (error) {
          reject(error);
          response.destroy();
        }
      });
      response.on('close', resolve);
      response.on('error', () => resolve());
    });
    sent.on('error', () => resolve());
    sent.end();
  });

/** Where `node test/gitops/main.ts` collects what the tests recorded. */
export const keepStatuses = async (versions: readonly Version[]): Promise<void> => {
  if (!statusesFolder) return;
  const objects = versions.map(({ object }) => object).filter(({ kind }) => kind !== 'Deployment');
  await writeFile(join(statusesFolder, `${randomUUID()}.json`), JSON.stringify(objects));
};
