import { setTimeout as pause } from 'node:timers/promises';
import type { Pace } from '../connector.ts';

export const machinePace: Pace = {
  now: () => performance.now(),
  wait: (ms, signal) => pause(ms, undefined, { signal }).catch(() => undefined),
};
