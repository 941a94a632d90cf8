import { join } from 'node:path';
import type { NodeLayout } from '../cluster/node/layout.ts';
import { cacheFolder } from '../cluster/settings.ts';

/** A node of the end-to-end tests' own, so that a cluster that somebody works with is left alone. */
export const e2eLayout: NodeLayout = {
  name: 'kanava-e2e',
  state: join(cacheFolder, 'cluster-e2e'),
  hostAddress: '172.30.97.1',
  nodeAddress: '172.30.97.2',
  podRange: '10.246.0.0/16',
  serviceRange: '10.98.0.0/16',
  apiServiceAddress: '10.98.0.1',
  dnsAddress: '10.98.0.10',
};
