import { expect, it } from 'vitest';
import { runCluster } from '../../faults/cluster.faults.ts';

/* Short; `npm run faults -- cluster` runs for a minute at 500 messages a second. */
it('loses nothing that was acknowledged while the leader of the inbox is killed', { timeout: 400_000 }, async () => {
  const outcome = await runCluster({ seconds: 18, every: 6, rate: 100, say: () => undefined });
  expect(outcome).toMatchObject({ acknowledged: 1_800, lost: 0 });
  expect(outcome.kills).toBeGreaterThan(1);
  expect(outcome.repeated, 'the kills were felt').toBeGreaterThan(0);
});
