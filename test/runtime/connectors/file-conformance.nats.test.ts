import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { IntakeSource, SinkDefinition } from '../../../runtime/connector.ts';
import { createEgress } from '../../../runtime/egress.ts';
import { type SinkUnderTest, sinkConformance } from '../../conformance/sink.ts';
import { intakeSourceConformance } from '../../conformance/source.ts';
import type { Workshop } from '../engine/workshop.ts';
import { volumeAt } from './volume.ts';

const connection = { claim: 'exchange', folder: 'all' };
const egress = createEgress({ allow: [], closed: [] });

intakeSourceConformance('file', {
  definition: catalog.sources.get('file') as IntakeSource,
  config: { connectionRef: { name: 'exchange' }, every: '20ms', stableFor: '1ms' },
  bad: [
    ['no Connection', {}],
    ['a way up', { connectionRef: { name: 'exchange' }, folder: '../other' }],
    ['two ends', { connectionRef: { name: 'exchange' }, done: { folder: 'a', marker: '.b' } }],
    ['a pattern of folders', { connectionRef: { name: 'exchange' }, match: ['a/*.csv'] }],
    ['no time', { connectionRef: { name: 'exchange' }, every: '0s' }],
  ],
  connections: { exchange: { file: connection } },
  nameOf: ({ filename }) => filename,
  make(volumes) {
    const volume = volumeAt(join(volumes, 'exchange'));
    mkdirSync(volume.path, { recursive: true });
    return {
      context: { connection, egress, volume: (claim) => join(volumes, claim) },
      put: async (names) => void (await Promise.all(names.map((name) => volume.put(`all/${name}`, name)))),
      left: () => volume.files('all'),
    };
  },
});

/** Node does the work of files in four threads: while each waits for the other end of a pipe, the disk is silent. */
const threads = 4;
const silentDisk = (folder: string) => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  let waiting: Promise<unknown>[] = [];
  return {
    hold() {
      waiting = Array.from({ length: threads }, async () => (await open(pipe, 'r')).close());
    },
    async answer() {
      if (waiting.length === 0) return;
      const end = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
      await Promise.all(waiting.splice(0));
      closeSync(end);
    },
  };
};

const makeFolder = async ({ volumes }: Workshop): Promise<SinkUnderTest> => {
  const volume = volumeAt(join(volumes, 'exchange'));
  mkdirSync(volume.path, { recursive: true });
  const disk = silentDisk(volumes);
  onTestFinished(disk.answer);
  return {
    context: {
      egress,
      connection,
      volume: (claim) => join(volumes, claim),
      publish: () => Promise.reject(new Error('a file publishes nothing')),
    },
    connections: { exchange: { file: connection } },
    other: {
      effects: () => volume.files('all'),
      hold: async () => disk.hold(),
      // What waits for a disk cannot be seen from outside.
      reached: () => pause(20),
      answer: disk.answer,
      leave: () => rename(volume.path, `${volume.path}.away`),
      back: () => rename(`${volume.path}.away`, volume.path),
      sessions: () => 0,
    },
  };
};

sinkConformance('file', {
  definition: catalog.sinks.get('file') as SinkDefinition,
  config: { connectionRef: { name: 'exchange' }, name: '=attrs.id' },
  bad: [
    ['no name', { connectionRef: { name: 'exchange' } }],
    ['an absolute name', { connectionRef: { name: 'exchange' }, name: '/etc/passwd' }],
    ['a hidden name', { connectionRef: { name: 'exchange' }, name: '.a' }],
    ['CEL that is none', { connectionRef: { name: 'exchange' }, name: '=body.' }],
  ],
  make: makeFolder,
});
