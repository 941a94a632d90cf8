import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mustRun, run } from '../command.ts';
import { natsImage } from '../images/build.ts';
import { loadImages } from '../images/load.ts';
import { mustKubectl } from '../kubectl.ts';
import { accepts } from '../ports.ts';
import { inCi } from '../settings.ts';
import { temporaryFolder } from '../temporary.ts';
import { nodeKubectl } from './api.ts';
import { componentsOf } from './components.ts';
import { removeNode, shimSockets } from './down.ts';
import { nodeImageStore } from './image-store.ts';
import { pathsOf, secondLayout } from './layout.ts';
import { namespaceOf, nodeProcesses, processesIn, startDetached } from './processes.ts';
import { nodeStatus } from './status.ts';
import { ensureNode } from './up.ts';

// Root on Linux, as the node itself; with CI=true a machine without is a failure.
const possible = process.platform === 'linux' && (getuid?.() === 0 || inCi);

const lines = (text: string): string[] => text.split('\n').filter(Boolean);

describe.runIf(possible)('the native node', { timeout: 180_000 }, () => {
  let layout: ReturnType<typeof secondLayout>;
  let quiet: (line: string) => void;
  let kubectl: ReturnType<typeof nodeKubectl>;

  /** Everything of the machine that names this node, by kind. */
  const footprint = async (): Promise<Record<string, string[]>> => {
    const marks = [layout.state, layout.name, '172.30.98.', '10.245.', '10.97.'];
    const ours = (text: string) => lines(text).filter((line) => marks.some((mark) => line.includes(mark)));
    return {
      processes: (await nodeProcesses(layout)).map(({ argv }) => argv.join(' ')),
      mounts: ours(await readFile('/proc/self/mounts', 'utf8')),
      namespaces: ours(await mustRun('ip', ['netns', 'list'])),
      links: ours(await mustRun('ip', ['-oneline', 'link'])),
      routes: ours(await mustRun('ip', ['route'])),
      cgroups: ours(await mustRun('find', ['/sys/fs/cgroup', '-type', 'd'])),
      networkRecords: ours((await readdir('/var/lib/cni/results').catch(() => [])).join('\n')),
      logLinks: ours((await run('find', ['/var/log/containers', '-type', 'l', '-printf', '%l\n'])).stdout),
    };
  };

  const startPod = async (name: string): Promise<string> => {
    const image = (await natsImage(quiet)).ref;
    await mustKubectl(kubectl, ['run', name, `--image=${image}`, '--image-pull-policy=Never']);
    await mustKubectl(kubectl, ['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=50s']);
    return mustKubectl(kubectl, ['get', 'pod', name, '-o', 'jsonpath={.status.podIP}']);
  };

  beforeAll(async () => {
    layout = secondLayout(await temporaryFolder('node'));
    quiet = () => {};
    kubectl = nodeKubectl(layout);
    expect(await ensureNode(layout, quiet)).toBe('created');
    await loadImages(nodeImageStore(layout), [await natsImage(quiet)], quiet);
    await mustKubectl(kubectl, ['wait', '--for=create', 'serviceaccount/default', '--timeout=30s']);
  }, 300_000);

  afterAll(async () => {
    await removeNode(layout);
    await rm(layout.state, { recursive: true });
  }, 60_000);

  test('runs a pod that the host reaches by its own and by a service address', async () => {
    const address = await startPod('first');
    expect(await accepts(4222, { host: address, greeting: 'INFO ' })).toBe(true);
    await mustKubectl(kubectl, ['expose', 'pod', 'first', '--port=4222']);
    const service = await mustKubectl(kubectl, ['get', 'service', 'first', '-o', 'jsonpath={.spec.clusterIP}']);
    await expect.poll(() => accepts(4222, { host: service, greeting: 'INFO ' }), { timeout: 60_000 }).toBe(true);
    expect(await mustKubectl(kubectl, ['logs', 'first'])).toContain('Server is ready');
  });

  test('gives a restricted pod a volume, and wipes it when its claim is gone', async () => {
    const apply = (object: object) =>
      mustKubectl(kubectl, ['apply', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', ...object }) });
    await apply({
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    });
    const restricted = { runAsNonRoot: true, runAsUser: 10_001, fsGroup: 10_001 };
    await apply({
      kind: 'Pod',
      metadata: { name: 'stored' },
      spec: {
        securityContext: restricted,
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
        containers: [
          {
            name: 'nats',
            image: (await natsImage(quiet)).ref,
            imagePullPolicy: 'Never',
            args: ['-js', '-sd', '/data'],
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
        ],
      },
    });
    await mustKubectl(kubectl, ['wait', '--for=condition=Ready', 'pod/stored', '--timeout=50s']);
    const volume = await mustKubectl(kubectl, ['get', 'pvc', 'data', '-o', 'jsonpath={.spec.volumeName}']);
    const folder = join(pathsOf(layout).volumes, volume.replace('local-', ''));
    await expect.poll(() => readdir(folder), { timeout: 60_000 }).toContain('jetstream');
    await mustKubectl(kubectl, ['delete', 'pod/stored', 'pvc/data', '--timeout=50s']);
    const phase = () => mustKubectl(kubectl, ['get', 'pv', volume, '-o', 'jsonpath={.status.phase}']);
    await expect.poll(phase, { timeout: 60_000 }).toBe('Released');
    expect(await ensureNode(layout, quiet)).toBe('was up');
    expect(await readdir(folder)).toEqual([]);
    await expect.poll(phase, { timeout: 60_000 }).toBe('Available');
  });

  test('is left alone when it is up', async () => {
    const before = await nodeProcesses(layout);
    expect(await ensureNode(layout, quiet)).toBe('was up');
    expect(await nodeProcesses(layout)).toEqual(before);
  });

  test.for([
    'etcd',
    'containerd',
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
    'kubelet',
    'kube-proxy',
  ])('is repaired after %s was killed, and its pods live on', async (name) => {
    const victims = (await nodeProcesses(layout)).filter(
      ({ argv }) => argv[0]?.includes(`/${name}-v`) && argv.length > 1,
    );
    const server = victims.find(({ argv }) => componentsOf(layout).some(({ command }) => command[0] === argv[0]));
    if (!server) throw new Error(`${name} does not run`);
    process.kill(server.pid, 'SIGKILL');
    await expect.poll(async () => (await nodeStatus(layout)).up, { timeout: 60_000 }).toBe(false);
    expect(await ensureNode(layout, quiet)).toBe('repaired');
    expect((await nodeStatus(layout)).up).toBe(true);
    const address = await startPod(`after-${name}`);
    expect(await accepts(4222, { host: address, greeting: 'INFO ' })).toBe(true);
    const restarts = await mustKubectl(kubectl, [
      'get',
      'pod',
      'first',
      '-o',
      'jsonpath={.status.containerStatuses[0].restartCount}',
    ]);
    expect(restarts).toBe('0');
  });

  test('leaves no process, mount, namespace, link, route or cgroup', async () => {
    const inside = (await namespaceOf(layout)) ?? '';
    // A server's child that does not name the node, as kube-proxy's iptables and the kubelet's mount.
    const hasEnded = startDetached(layout, 'child', ['sleep', '300']);
    // The control: every kind of trace is there and is seen.
    for (const [kind, traces] of Object.entries(await footprint())) expect(traces, kind).not.toEqual([]);
    const before = await processesIn(inside);
    expect(before).not.toEqual([]);
    const sockets = await shimSockets(layout);
    expect(sockets.filter(existsSync)).not.toEqual([]);
    await removeNode(layout);
    for (const [kind, traces] of Object.entries(await footprint())) expect(traces, kind).toEqual([]);
    // The kernel gives the namespace's number to the next one, which may be of a pod that another test starts just now.
    const after = await processesIn(inside);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    expect(hasEnded()).toBe(true);
    expect(sockets.filter(existsSync)).toEqual([]);
    // Nothing to remove is no error.
    await removeNode(layout);
  });
});
