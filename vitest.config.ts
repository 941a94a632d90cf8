import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { programsFolder } from './test/cluster/settings.ts';
import { threadsOfBundles } from './test/programs.ts';

/** Two thirds of a minute and more; begun late, one of them would run alone at the end. */
// biome-ignore format: a list, not a column
const longest = [
  'kanava.e2e',
  'uninstall.kube', 'clean.kube', 'scaling.kube', 'deletion.kube', 'crash.kube', 'bootstrap.kube', 'list-watch.kube',
  'kills.nats', 'partitions.nats', 'failures.nats', 'scale-in.nats', 'order-shared.nats', 'silence.nats', 'cluster.nats',
  'stream-full.nats',
];
const placeOf = ({ moduleId }: TestSpecification): number => {
  const found = longest.findIndex((name) => moduleId.includes(`/${name}.`));
  return found < 0 ? longest.length : found;
};
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // A process goes on only with files of its level, so levels stay together.
    const levels = Map.groupBy(await super.sort(files), ({ project }) => project.name).values();
    return [...levels].flatMap((level) => level.toSorted((one, other) => placeOf(one) - placeOf(other)));
  }
}

// Levels as in CONTRIBUTING.md. Tests that start servers wait for them half of the time, so four share two cores; each node has its own addresses.
export default defineConfig({
  plugins: [
    {
      name: 'threads of bundles',
      enforce: 'pre',
      load: (path) => (programsFolder && threadsOfBundles.filter.test(path) ? threadsOfBundles.contents : undefined),
    },
  ],
  test: {
    environment: 'node',
    // Tests start hundreds of programs from their sources: reading TypeScript is two thirds of a start.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
    testTimeout: 180_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 4,
    // What a file starts it ends, and no module keeps state: reading all modules again for each file would take minutes.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{nats,kube,e2e}.test.ts'],
          maxWorkers: 2,
        },
      },
      { extends: true, test: { name: 'nats', include: ['test/**/*.nats.test.ts'] } },
      { extends: true, test: { name: 'kube', include: ['test/**/*.kube.test.ts'] } },
      { extends: true, test: { name: 'e2e', include: ['test/**/*.e2e.test.ts'] } },
    ],
  },
});
