import { type KubeApi, startKubeApi } from '../../cluster/kube-api.ts';
import { applyCrds } from './established.ts';
import { type RawApi, rawApi } from './raw-api.ts';

export interface CrdServer extends RawApi {
  readonly api: KubeApi;
  stop(): Promise<void>;
}

/** A real API server that serves the CRDs, with the namespace `acme` of the objects in test/build.ts. */
export const startCrdServer = async (): Promise<CrdServer> => {
  const api = await startKubeApi();
  const raw = rawApi(api);
  await applyCrds(api);
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
