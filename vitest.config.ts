import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Levels as in CONTRIBUTING.md. Tests that start servers wait for them half of the time, so four share two cores; the node has one tenant.
export default defineConfig({
  test: {
    environment: 'node',
    // Tests start hundreds of programs from their sources: reading TypeScript is two thirds of a start.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
    testTimeout: 180_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 4,
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
      { extends: true, test: { name: 'e2e', include: ['test/**/*.e2e.test.ts'], maxWorkers: 1 } },
    ],
  },
});
