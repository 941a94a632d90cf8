import { pino } from 'pino';
import { Registry } from 'prom-client';
import { startElection } from '../../../operator/control/election.ts';
import { controlMetrics } from '../../../operator/control/metrics.ts';
import { loadIdentity } from '../../../operator/kube/identity.ts';
import { kubeLeases } from '../../../operator/kube/leases.ts';
import { createTransport } from '../../../operator/kube/transport.ts';

/*
 * A candidate as a process, for tests that stop it: `contender.ts <kubeconfig> <namespace> <name> <renewDeadlineMs> <retryMs>`. While it leads it
 * makes a ConfigMap after the other, named `<name>-<n>`, and it does not exit on loss, so that it could write what it must not.
 */
const [kubeconfig = '', namespace = '', name = '', renewDeadlineMs = '', retryMs = ''] = process.argv.slice(2);
let isLeader = () => false;
const transport = createTransport({
  identity: await loadIdentity({ kubeconfig, env: {} }),
  registry: new Registry(),
  mayWrite: () => isLeader(),
});
const election = startElection({
  name: 'contest',
  leases: kubeLeases(transport, namespace, 'contest'),
  identity: name,
  onElected: () => console.log(`${name} elected`),
  onLost: () => console.log(`${name} lost`),
  metrics: controlMetrics(new Registry()),
  log: pino({ level: 'silent' }),
  timings: { leaseMs: 3000, renewDeadlineMs: Number(renewDeadlineMs), retryMs: Number(retryMs) },
});
isLeader = election.isLeader;
process.on('SIGTERM', () => void election.stop().then(() => process.exit(0)));

for (let n = 0; ; n += 1) {
  await new Promise((resolve) => setTimeout(resolve, 10));
  try {
    await transport.request({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `${name}-${n}` } },
    });
  } catch {
    // Not leading; or no answer in time, though it may have been made: the next round takes another name.
  }
}
