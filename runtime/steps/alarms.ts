import type { Attempt, OwnInbox, StepMemory } from '../connector.ts';
import { postpone } from '../errors.ts';
import { Body, type Message } from '../message.ts';
import { createLedger } from './ledger.ts';

/*
 * Times at which a step has to look at something that it remembers, although no message comes. They stand in a few slots of its memory.
 * A slot with times has a wake: a message in the step's own inbox, which the step postpones until the first of its times, so that the broker
 * keeps it and the workers stay awake. Slot and times are one value, changed by compare-and-set: there is no moment at which a time is
 * written down and nothing wakes for it.
 *
 * An alarm has a number, which rises with every use of its token, so that none is taken away with one that was before it.
 */
export interface Alarms {
  /**
   * Resolves when it is sure to ring. `holder` names the message in hand: when the inbox has no room for the wake, the one that needed it
   * first stays, in the wake's place, by the postponement that this rejects with. Other messages with times in the slot go on.
   */
  set(token: string, alarm: Alarm, holder: string): Promise<void>;
  /** For a message that comes again, before anything else: makes good what it stayed for. */
  release(token: string, holder: string): Promise<void>;
  /** What the step does when a wake resumes: looks at all that is due. Rejects with a postponement when there is more to come. */
  ring(wake: Message, attempt: Attempt, look: Look): Promise<void>;
}
interface Alarm {
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly due: number;
}
/** When to look again; `due` is absent when nothing with a lower number has to be looked at any more. */
export type Look = (token: string) => Promise<{ readonly number: number; readonly due?: number | undefined }>;

interface Slot {
  /** Counts the wakes: only the last one is of use. */
  readonly wake: number;
  readonly armed: boolean;
  /** The wake is known to be in the inbox; else it is up to the holder. */
  readonly stored: boolean;
  readonly holder: string;
  /** What the wake waits for; 0: it is about to look. */
  readonly until: number;
  readonly times: Times;
}
/** Number and time by token. */
type Times = Readonly<Record<string, readonly [number: number, due: number]>>;

export const wakeType = 'dev.kanava.wake';
export const isWake = ({ attrs }: Message): boolean => attrs.type === wakeType;

const slots = 8;
const empty: Slot = { wake: 0, armed: false, stored: false, holder: '', until: 0, times: {} };
/** What fits into one value of the bucket, with room to spare. */
const mostTimes = 8_000;
const bytesOfTime = 50;
const atOnce = 16;

export const createAlarms = ({
  memory,
  own,
  now,
}: {
  readonly memory: StepMemory;
  readonly own: OwnInbox;
  readonly now: () => number;
}): Alarms => {
  const ledger = createLedger<Slot>(memory, ({ times }) => Object.keys(times).length * bytesOfTime);
  const slotOf = (token: string) => `slot ${token.charCodeAt(0) % slots}`;

  const wakeOf = (slot: string, wake: number): Message => ({
    attrs: {
      id: `${slot}/${wake}`,
      source: own.source,
      type: wakeType,
      specversion: '1.0',
      datacontenttype: 'application/json',
      // Where order is kept, it must hold up nobody's key.
      partitionkey: `${own.source}/${slot}`,
    },
    headers: {},
    body: Body.fromValue({ slot, wake }),
  });

  const post = async (slot: string, { wake }: Slot, mustStay: boolean): Promise<void> => {
    if (await own.put(wakeOf(slot, wake))) {
      await ledger.change(slot, (found) =>
        found?.wake === wake && !found.stored
          ? { result: undefined, next: { value: { ...found, stored: true } } }
          : { result: undefined },
      );
    } else if (mustStay) {
      throw postpone('InboxFull', 'the inbox has no room for a timer', { afterMs: 1_000 });
    }
  };

  return {
    async set(token, { number, due }, holder) {
      const slot = slotOf(token);
      const armed = await ledger.change(slot, (found = empty) => {
        const [before, at] = found.times[token] ?? [number, due];
        const times: Times = { ...found.times, [token]: [Math.max(before, number), Math.min(at, due)] };
        if (Object.keys(times).length > mostTimes) throw postpone('TooManyGroups', 'too many groups are open');
        const value: Slot =
          found.armed && due >= found.until
            ? { ...found, times }
            : { wake: found.wake + 1, armed: true, stored: false, holder, until: 0, times };
        return { result: value, next: { value } };
      });
      if (!armed.stored) await post(slot, armed, armed.holder === holder);
    },

    async release(token, holder) {
      const slot = slotOf(token);
      const found = await ledger.change(slot, (value = empty) => ({ result: value }));
      if (found.armed && !found.stored && found.holder === holder) await post(slot, found, true);
    },

    async ring(message, attempt, look) {
      const { slot, wake } = message.body.value() as { slot: string; wake: number };
      const { times, ...found } = await ledger.change(slot, (value = empty) => ({ result: value }));
      if (!found.armed) return;
      // An earlier one that is not needed any more, unless the one in its place never came into the inbox.
      if (found.wake !== wake) return found.stored ? undefined : post(slot, { ...found, times }, true);
      const seen = await lookAt(dueAt(times, now()), look, attempt);
      const until = await ledger.change(slot, (found) => {
        if (!found?.armed || found.wake !== wake) return { result: undefined };
        const left = without(found.times, times, seen);
        const dues = Object.values(left).map(([, due]) => due);
        const next = dues.length === 0 ? undefined : Math.min(...dues);
        const value: Slot = { ...found, stored: true, armed: next !== undefined, until: next ?? 0, times: left };
        return { result: next, next: { value } };
      });
      if (until !== undefined) {
        throw postpone('Waiting', 'something is due later', { afterMs: Math.max(0, until - now()) });
      }
    },
  };
};

type Seen = ReadonlyMap<string, Awaited<ReturnType<Look>>>;

const dueAt = (times: Times, now: number): string[] =>
  Object.entries(times).flatMap(([token, [, due]]) => (due <= now ? [token] : []));

/** As many as the attempt has time for: the rest is still due. */
const lookAt = async (tokens: readonly string[], look: Look, { signal }: Attempt): Promise<Seen> => {
  const seen = new Map<string, Awaited<ReturnType<Look>>>();
  const rest = tokens.values();
  const lookOn = async () => {
    for (const token of rest) {
      if (signal.aborted) return;
      seen.set(token, await look(token));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lookOn));
  return seen;
};

/** What was set meanwhile stays as it was set. */
const without = (times: Times, before: Times, seen: Seen): Times => {
  const left = { ...times };
  for (const [token, { number, due }] of seen) {
    const [current, at] = times[token] ?? [];
    if (current === undefined) continue;
    if (due === undefined) {
      if (current < number) delete left[token];
    } else if (current === before[token]?.[0] && at === before[token]?.[1]) left[token] = [current, due];
  }
  return left;
};
