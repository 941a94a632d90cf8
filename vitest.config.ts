import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Minutes each; begun late, one of them would run alone at the end. */
const longest = ['kanava.e2e', 'kills.nats', 'clean.kube', 'uninstall.kube', 'scaling.kube'];
const placeOf = ({ moduleId }: TestSpecification): number => {
  const found = longest.findIndex((name) => moduleId.includes(`/${name}.`));
  return found < 0 ? longest.length : found;
};
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}

// Levels as in CONTRIBUTING.md. Tests that start servers wait for them a third of the time, so three share two cores; each node has its own addresses.
export default defineConfig({
  test: {
    environment: 'node',
    // Tests start hundreds of programs from their sources: reading TypeScript is two thirds of a start.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
    testTimeout: 180_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 3,
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
