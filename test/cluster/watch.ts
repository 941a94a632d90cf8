import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeApi } from './kube-api.ts';

export interface Version<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: T;
}
interface Stored {
  readonly metadata: { readonly resourceVersion?: string };
}

/**
 * Every version of the objects at a path that an API server stores, from what is there on, until the signal. Survives a server that is away
 * for a while; throws when versions are lost. A watch of the tests' own: kubectl and the operator's caches may leave versions out.
 */
export const watchAll = async <T extends Stored>(
  api: KubeApi,
  path: string,
  see: (version: Version<T>) => void,
  signal: AbortSignal,
): Promise<void> => {
  let from = '0';
  while (!signal.aborted) {
    await watchOnce(api, `${path}?watch=true&timeoutSeconds=3600&resourceVersion=${from}`, signal, (line) => {
      const event = JSON.parse(line) as Version<T> | { readonly type: 'ERROR'; readonly object: unknown };
      if (event.type === 'ERROR') throw new Error(`watch of ${path}: ${JSON.stringify(event.object)}`);
      from = event.object.metadata.resourceVersion ?? from;
      see(event);
    });
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
