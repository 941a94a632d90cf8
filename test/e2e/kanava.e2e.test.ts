import { afterAll, beforeAll, describe } from 'vitest';
import { nativeProvider } from '../cluster/providers/native.ts';
import { chartsLife } from './charts.ts';
import { platformOf } from './demo/platform.ts';
import { filesOfAVolume } from './files.ts';
import { firstLight } from './first-light.ts';
import { e2eLayout } from './layout.ts';
import { sleepingIntegration } from './sleeping.ts';

/*
 * The whole product on a real node, story after story. They share the node, because bringing one up is most of the time of a story; each
 * brings what it needs, so that one may run alone (`-t`).
 */
const platform = await platformOf(nativeProvider(e2eLayout), e2eLayout);

describe('kanava on a node', () => {
  beforeAll(async () => {
    // A node that an interrupted run left behind is not what a user meets.
    await platform.provider.down(() => {});
  }, 120_000);
  afterAll(async () => {
    await platform.provider.down(() => {});
  }, 120_000);

  firstLight(platform);
  sleepingIntegration(platform);
  filesOfAVolume(platform);
  chartsLife(platform);
});
