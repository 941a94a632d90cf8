import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { flowTo, startWorkshop } from '../engine/workshop.ts';

/* The pod that fetches, as its probes and whoever reads its metrics see it. */
it('says why nothing comes, is ready when it does, and counts what it handed over', { timeout: 300_000 }, async () => {
  const workshop = await startWorkshop();
  const volume = join(workshop.volumes, 'exchange');
  const flow = flowTo('', {
    sources: [{ name: 'in', file: { connectionRef: { name: 'exchange' }, every: '20ms', stableFor: '1ms' } }],
    connections: { exchange: { file: { claim: 'exchange' } } },
  });
  const intake = await workshop.startIntake(flow);
  const asked = async (path: string) => {
    const answer = await fetch(`${intake.healthUrl}${path}`);
    return `${answer.status} ${await answer.text()}`;
  };
  const eventually = (path: string) => expect.poll(() => asked(path), { timeout: 60_000, interval: 50 });

  await eventually('/readyz').toMatch(/^503 .*"sources":\{"in":".*is not mounted/);
  mkdirSync(volume);
  await eventually('/readyz').toMatch(/^200 /);
  writeFileSync(join(volume, 'a.txt'), 'a');
  await expect.poll(() => workshop.messages('inbox_orders'), { timeout: 60_000 }).toBe(1);
  await eventually('/metrics').toMatch(/kanava_intake_messages_total\{stored="now"\} 1/);
  renameSync(volume, `${volume}.away`);
  await eventually('/readyz').toMatch(/^503 /);
  expect(await intake.stop()).toBe(0);
});
