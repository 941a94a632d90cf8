import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mustKubectl } from '../cluster/kubectl.ts';
import { installChart, type Platform, provideImages } from './demo/platform.ts';
import { createReport } from './demo/report.ts';
import { e2eLayout } from './layout.ts';
import { eventually, killPods } from './pods.ts';
import { restrictedViolations } from './restricted.ts';

/* Files of a volume through a real node: a folder of this machine is the volume, which the test writes and reads as a partner would. */
const name = 'files';
const apiVersion = 'kanava.dev/v1alpha1';
const metadata = { name, namespace: name };
const spec = { namespace: { name }, deletionPolicy: 'Delete' };
const storage = '1Gi';
const intakePods = `kanava.dev/integration=${name},app.kubernetes.io/component=intake`;

const objectsOf = (path: string) => [
  {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'kanava-e2e-files' },
    spec: {
      capacity: { storage },
      accessModes: ['ReadWriteMany'],
      storageClassName: '',
      claimRef: metadata,
      hostPath: { path },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata,
    spec: {
      accessModes: ['ReadWriteMany'],
      storageClassName: '',
      volumeName: 'kanava-e2e-files',
      resources: { requests: { storage } },
    },
  },
  { apiVersion, kind: 'Connection', metadata, spec: { file: { claim: name } } },
  {
    apiVersion,
    kind: 'Integration',
    metadata,
    spec: {
      sources: [{ name: 'in', file: { connectionRef: { name }, folder: 'in', every: '200ms', stableFor: '100ms' } }],
      sinks: [{ name: 'out', file: { connectionRef: { name }, folder: 'out', name: '=attrs.filename' } }],
    },
  },
];

export const filesOfAVolume = (platform: Platform) =>
  describe('files of a volume', () => {
    const { kubectl } = platform;
    const folder = mkdtempSync(join(tmpdir(), 'kanava-e2e-files-'));
    const put = (file: string) => writeFileSync(join(folder, 'in', file), `content of ${file}`);
    const filesOf = (below: string): string[] => {
      try {
        return readdirSync(join(folder, below)).filter((file) => file.endsWith('.txt'));
      } catch {
        return [];
      }
    };
    const apply = (...objects: unknown[]) =>
      mustKubectl(kubectl, ['apply', '--server-side', '-f', '-'], {
        stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
      });

    beforeAll(async () => {
      const report = createReport((line) => console.log(line));
      await platform.provider.up(report.note);
      await installChart(platform, await provideImages(platform, report));
      // A volume of this kind keeps its owner: the pods' group is not given to it.
      chmodSync(folder, 0o777);
      mkdirSync(join(folder, 'in'));
      chmodSync(join(folder, 'in'), 0o777);
      await apply({ apiVersion, kind: 'Tenant', metadata: { name }, spec });
      await mustKubectl(kubectl, ['wait', `tenants.kanava.dev/${name}`, '--for=condition=Ready', '--timeout=120s']);
      await apply(...objectsOf(folder));
    }, 600_000);
    afterAll(async () => {
      // The next story finds none of it.
      const gone = ['delete', 'tenants.kanava.dev', name, '--timeout=90s'];
      await mustKubectl(kubectl, gone, { timeout: 100_000 });
      await mustKubectl(kubectl, ['delete', 'persistentvolume', 'kanava-e2e-files', '--wait=false']);
      rmSync(folder, { recursive: true, force: true });
    }, 120_000);

    it('are fetched by a pod of their own, and written by a worker that was woken for them', async () => {
      const ready = ['wait', `integrations.kanava.dev/${name}`, '-n', name, '--for=condition=Ready', '--timeout=180s'];
      await mustKubectl(kubectl, ready);
      put('a.txt');
      await eventually(
        'the file',
        async () => filesOf('out'),
        (found) => found.length > 0,
      );
      expect(readFileSync(join(folder, 'out/a.txt'), 'utf8')).toBe('content of a.txt');
      await eventually(
        'put away',
        async () => filesOf('in/done'),
        (found) => found.includes('a.txt'),
      );
      expect(await restrictedViolations(kubectl, name)).toBe('');
    }, 400_000);

    it('are all there, though the pod that fetches is killed', async () => {
      const many = Array.from({ length: 60 }, (_, index) => `b${index}.txt`);
      for (const file of many.slice(0, 40)) put(file);
      await eventually(
        'some are taken',
        async () => filesOf('in/done'),
        (found) => found.length > 5,
      );
      expect(await killPods(kubectl, e2eLayout, name, intakePods)).toBe(1);
      for (const file of many.slice(40)) put(file);
      await eventually(
        'all of them',
        async () => filesOf('out'),
        (found) => found.length === many.length + 1,
      );
      await eventually(
        'none is left',
        async () => filesOf('in'),
        (found) => found.length === 0,
      );
    }, 400_000);
  });
