import { describe, expect, it } from 'vitest';
import { uncounted } from '../../../operator/plan/quota.ts';

describe('uncounted', () => {
  const quota = (status?: unknown) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'kanava' },
    status,
  });
  const kind = 'count/integrations.kanava.dev';
  it.each([
    ['nothing was counted yet: nothing is refused either', undefined, []],
    ['all is counted', { hard: { pods: '1', [kind]: '20' }, used: { pods: '0', [kind]: '3' } }, []],
    ['a kind that the controller does not know', { hard: { pods: '1', [kind]: '20' }, used: { pods: '0' } }, [kind]],
    ['limits without any count', { hard: { pods: '1' } }, ['pods']],
  ])('%s', (_, status, expected) => expect(uncounted(quota(status))).toEqual(expected));
});
