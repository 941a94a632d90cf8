import { defineConfig } from 'vitest/config';

// Levels as in CONTRIBUTING.md: pure tests run in parallel; everything that starts servers shares two cores and is bounded.
export default defineConfig({
  test: {
    environment: 'node',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/**/*.{nats,kube,e2e}.test.ts'] },
      },
      { extends: true, test: { name: 'nats', include: ['test/**/*.nats.test.ts'] } },
      { extends: true, test: { name: 'kube', include: ['test/**/*.kube.test.ts'] } },
      { extends: true, test: { name: 'e2e', include: ['test/**/*.e2e.test.ts'], maxWorkers: 1 } },
    ],
  },
});
