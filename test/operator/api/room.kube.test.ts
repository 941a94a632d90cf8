import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { largestCrd } from '../../../operator/api/schema-rules.ts';
import { mustRun } from '../../cluster/command.ts';
import { type KubeApi, startKubeApi } from '../../cluster/kube-api.ts';
import { rawApi } from './raw-api.ts';

/*
 * Is there room for the connectors that are to come: 30 sources, 30 sinks, 35 steps in one CRD? The API server bounds the cost of all
 * rules together; etcd and Helm bound the bytes.
 */
let api: KubeApi;
beforeAll(async () => {
  api = await startKubeApi();
});
afterAll(() => api.stop());

test('30 sources, 30 sinks and 35 steps fit into the CRD, by bytes and by cost of rules', async () => {
  const printed = await mustRun(process.execPath, [join(import.meta.dirname, 'crowded-crds.ts')]);
  const crds = JSON.parse(printed) as { metadata: { name: string } }[];
  expect(crds.map(({ metadata }) => metadata.name)).toContain('integrations.kanava.dev');
  const server = rawApi(api);
  try {
    for (const crd of crds) {
      const bytes = JSON.stringify(crd).length;
      const answer = await server.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
      expect(answer.message.slice(0, 2000)).toBe('');
      if (crd.metadata.name.startsWith('integrations.')) {
        console.log(`Integration CRD with 30 + 30 + 35 plug-ins: ${bytes} bytes`);
        expect(bytes).toBeGreaterThan(100_000);
      }
      expect(bytes).toBeLessThan(largestCrd);
    }
  } finally {
    server.close();
  }
});
