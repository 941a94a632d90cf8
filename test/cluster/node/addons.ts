import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mustKubectl } from '../kubectl.ts';
import { nodeKubectl } from './api.ts';
import { corednsObjects } from './coredns.ts';
import { type NodeLayout, pathsOf } from './layout.ts';

const volumeCount = 10;

const volumePath = (layout: NodeLayout, number: number): string => join(pathsOf(layout).volumes, String(number));

const storageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
};

const volume = (layout: NodeLayout, number: number) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: `local-${number}` },
  spec: {
    capacity: { storage: '10Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: storageClass.metadata.name,
    volumeMode: 'Filesystem',
    local: { path: volumePath(layout, number) },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [layout.name] }] },
        ],
      },
    },
  },
});

const numbers = Array.from({ length: volumeCount }, (_, index) => index + 1);

/** Name resolution, a default StorageClass and volumes for it. */
export const applyAddons = async (layout: NodeLayout, corednsImage: string): Promise<void> => {
  for (const number of numbers) await mkdir(volumePath(layout, number), { recursive: true, mode: 0o755 });
  const items = [
    ...corednsObjects(layout, corednsImage),
    storageClass,
    ...numbers.map((number) => volume(layout, number)),
  ];
  const stdin = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await mustKubectl(nodeKubectl(layout), ['apply', '--server-side', '--force-conflicts', '-f', '-'], { stdin });
};

interface VolumeList {
  items: { metadata: { name: string }; status?: { phase?: string } }[];
}

/** Wipes volumes whose claim is gone and offers them again: nobody else does that for static volumes. */
export const recycleVolumes = async (layout: NodeLayout): Promise<number> => {
  const kubectl = nodeKubectl(layout);
  const { items } = JSON.parse(await mustKubectl(kubectl, ['get', 'persistentvolumes', '-o', 'json'])) as VolumeList;
  const ours = numbers.map((number) => ({ name: `local-${number}`, path: volumePath(layout, number) }));
  const released = ours.filter(({ name }) =>
    items.some((item) => item.metadata.name === name && item.status?.phase === 'Released'),
  );
  for (const { name, path } of released) {
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { mode: 0o755 });
    await mustKubectl(kubectl, ['patch', 'persistentvolume', name, '-p', '{"spec":{"claimRef":null}}']);
  }
  return released.length;
};
