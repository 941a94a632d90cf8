import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mustKubectl } from '../cluster/kubectl.ts';
import { installChart, type Platform, provideImages } from './demo/platform.ts';
import { createReport } from './demo/report.ts';
import { e2eLayout } from './layout.ts';
import { eventually } from './pods.ts';
import { type Sleeper, sleeper, startSleeper, workerLabel } from './sleeper.ts';

/* From idle to delivered and back on a real node, as a user sees it. */
export const sleepingIntegration = (platform: Platform) =>
  describe('an Integration that sleeps', () => {
    const { kubectl } = platform;
    let sleeping: Sleeper;
    const shown = async (): Promise<string[]> =>
      (await mustKubectl(kubectl, ['get', 'integrations.kanava.dev', sleeper, '-n', sleeper, '--no-headers'])).split(
        /\s+/,
      );
    const isAsleep = () => sleeping.podsBecome(workerLabel, 'gone', (pods) => pods.length === 0);

    beforeAll(async () => {
      const report = createReport((line) => console.log(line));
      await platform.provider.up(report.note);
      await installChart(platform, await provideImages(platform, report));
      sleeping = await startSleeper(platform, e2eLayout);
    }, 600_000);
    afterAll(async () => {
      await sleeping?.close();
    }, 240_000);

    it('has no pod and is ready', async () => {
      await isAsleep();
      expect((await shown()).slice(0, 4)).toEqual([sleeper, 'True', 'Idle', '0']);
    }, 180_000);

    it('wakes for a message, delivers it once, and sleeps again; several times', async () => {
      for (const id of ['first', 'second', 'third']) {
        await sleeping.send(id);
        expect((await shown()).slice(0, 2)).toEqual([sleeper, 'True']);
        await isAsleep();
      }
      await eventually('idle again', shown, (columns) => columns[2] === 'Idle' && columns[3] === '0');
      expect(Object.fromEntries(sleeping.received)).toEqual({ first: 1, second: 1, third: 1 });
    }, 400_000);
  });
