import { expect, it } from 'vitest';
import { mayHavePods } from '../../../operator/plan/deployment.ts';

it.each([
  ['its controller was never here, and makes the pods yet', { replicas: 1 }, undefined, true],
  ['nobody ever wanted pods', { replicas: 0 }, undefined, false],
  ['the default is one', {}, undefined, true],
  ['pods run', { replicas: 1 }, { observedGeneration: 2, replicas: 1 }, true],
  ['pods end', { replicas: 0 }, { observedGeneration: 2, replicas: 1 }, true],
  ['the controller makes those of the number before', { replicas: 0 }, { observedGeneration: 1 }, true],
  ['all have ended', { replicas: 0 }, { observedGeneration: 2, replicas: 0 }, false],
])('%s', (_why, spec, status, expected) => {
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'worker', generation: 2 }, spec };
  expect(mayHavePods({ ...deployment, ...(status && { status }) })).toBe(expected);
});
