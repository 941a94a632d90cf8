import type { KubeApi } from '../../cluster/kube-api.ts';
import { type RawApi, rawApi } from './raw-api.ts';
import { borrowServer, startOwnServer } from './shared-server.ts';

export interface CrdServer extends RawApi {
  readonly api: KubeApi;
  stop(): Promise<void>;
}

/** A real API server that serves the CRDs, with the namespace `acme` of the objects in test/build.ts. */
export const startCrdServer = async (): Promise<CrdServer> => crdServer(await borrowServer());

/** One whose CRDs a test may change. */
export const startOwnCrdServer = async (): Promise<CrdServer> => crdServer(await startOwnServer());

const crdServer = async (api: KubeApi): Promise<CrdServer> => {
  const raw = rawApi(api);
  await raw.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'acme' } });
  return {
    ...raw,
    api,
    stop: async () => {
      raw.close();
      await api.stop();
    },
  };
};
