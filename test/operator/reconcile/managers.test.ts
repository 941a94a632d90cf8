import { expect, it } from 'vitest';
import { sharedFields } from './managers.ts';

const entry = (manager: string, fields: object) => ({ manager, fieldsV1: fields });

it('finds a field with two owners, and only that (the control of the test on the real server)', () => {
  const managedFields = [
    entry('kanava-operator', {
      'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
      'f:spec': { 'f:replicas': {}, 'f:template': {} },
    }),
    entry('kanava-scaler', { 'f:metadata': { 'f:labels': { '.': {} } }, 'f:spec': { 'f:replicas': {} } }),
  ];
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'worker', managedFields } };
  expect(sharedFields(object)).toEqual(['/f:spec/f:replicas: kanava-operator, kanava-scaler']);
});
