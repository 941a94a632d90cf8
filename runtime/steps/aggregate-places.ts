import { hash } from 'node:crypto';
import { milliseconds } from '../schema.ts';

/*
 * Which groups a message belongs to, and when a group is over: one for each key, or one for each key and window.
 */
export interface Place {
  /** Names the group's place in the step's memory; the same whenever it is computed. */
  readonly token: string;
  /** Attributes of what the group becomes. */
  readonly attrs: Readonly<Record<string, string>>;
  /** It has one time: what comes after its group has ended is late. */
  readonly isWindow: boolean;
  /** When a group that was opened then and got its last message now is over. */
  readonly due: (openedAt: number, now: number) => number;
}
export interface Until {
  readonly count?: number | undefined;
  readonly when?: string | undefined;
  readonly timeout: string;
}
/** Fixed windows follow each other (`every` is their size) or overlap. */
export interface Windows {
  readonly size: string;
  readonly every: string;
  readonly lateness?: string | undefined;
}

const defaultLatenessMs = 2_000;

export const placesUntil =
  ({ timeout }: Until) =>
  (key: string): Place[] => {
    const timeoutMs = msOf(timeout);
    return [placeOf(key, {}, (openedAt) => openedAt + timeoutMs)];
  };

export const placesOfSession =
  (gap: string) =>
  (key: string): Place[] => {
    const gapMs = msOf(gap);
    return [placeOf(key, {}, (_openedAt, now) => now + gapMs)];
  };

/**
 * A window is over a while after its end, so that messages may be late a little. While an old one is worked off it is over when no message
 * of it comes any more, and at the latest when it was open for its size.
 */
export const placesInWindows = ({ size, every, lateness }: Windows) => {
  const [sizeMs, everyMs] = [msOf(size), msOf(every)];
  const latenessMs = lateness === undefined ? defaultLatenessMs : msOf(lateness);
  const windowOf = (key: string, start: number): Place => {
    const end = start + sizeMs;
    const attrs = { windowstart: new Date(start).toISOString(), windowend: new Date(end).toISOString() };
    return {
      ...placeOf(key, attrs, (openedAt, now) => Math.max(end, Math.min(now, openedAt + sizeMs)) + latenessMs),
      token: tokenOf(`${start} ${key}`),
      isWindow: true,
    };
  };
  return (key: string, time: number): Place[] => {
    const places: Place[] = [];
    for (let start = Math.floor(time / everyMs) * everyMs; start + sizeMs > time; start -= everyMs)
      places.unshift(windowOf(key, start));
    return places;
  };
};

const placeOf = (key: string, attrs: Place['attrs'], due: Place['due']): Place => ({
  token: tokenOf(key),
  attrs: { ...attrs, partitionkey: key },
  isWindow: false,
  due,
});
const tokenOf = (text: string): string => hash('sha256', text, 'base64url').slice(0, 27);
const msOf = (duration: string): number => milliseconds(duration) ?? 0;
