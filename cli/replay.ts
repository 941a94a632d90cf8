import { setTimeout as pause } from 'node:timers/promises';
import { type DeadLetter, messageIn } from '../runtime/dead-letters/letter.ts';
import { replay, replayEntry } from '../runtime/dead-letters/replay.ts';
import type { DeadLetters } from '../runtime/dead-letters/store.ts';
import { reasonOf } from '../runtime/errors.ts';
import { type Entry, TransportError } from '../runtime/transport/transport.ts';
import { mergePatch } from './merge-patch.ts';

export interface Result {
  readonly id: number;
  readonly outcome: 'planned' | 'replayed' | 'duplicate' | 'kept' | 'failed';
  readonly subject: string;
  /** Deduplication id of the replay. */
  readonly messageId: string;
  readonly from?: string;
  readonly only?: string;
  /** What to know when it was not simply replayed. */
  readonly reason?: string;
}
export type Plan = (letter: DeadLetter) => Entry;

export const replayPlan =
  (
    integration: string,
    {
      from,
      everywhere,
      body,
      patch,
    }: { from?: string; everywhere: boolean; body?: Uint8Array | undefined; patch?: unknown },
  ): Plan =>
  (letter) => {
    const patched = patch === undefined ? body : Buffer.from(JSON.stringify(mergePatch(bodyOf(letter), patch)));
    return replayEntry(integration, letter, { from, everywhere, ...(patched === undefined ? {} : { body: patched }) });
  };
/** Throws where it is not JSON. */
const bodyOf = (letter: DeadLetter): unknown => messageIn(letter)?.body.value();

/** A full inbox is being worked on: it is asked again this often, for this long. */
const againMs = 1_000;
const fullForMs = 60_000;

/** One after the other, at most `rate` in a second. What cannot be reached ends it; what fails for itself does not. */
export async function* replayAll(
  letters: DeadLetters,
  chosen: AsyncIterable<DeadLetter>,
  plan: Plan,
  { rate = Number.POSITIVE_INFINITY, dryRun }: { rate?: number; dryRun: boolean },
): AsyncGenerator<Result> {
  const started = performance.now();
  let count = 0;
  for await (const letter of chosen) {
    const { id } = letter;
    let entry: Entry;
    try {
      entry = plan(letter);
    } catch (error) {
      yield { id, outcome: 'failed', subject: letter.subject, messageId: letter.messageId, reason: reasonOf(error) };
      continue;
    }
    const result = { id, subject: entry.subject, messageId: entry.id };
    if (dryRun) {
      yield { ...result, outcome: 'planned' };
      continue;
    }
    const early = started + (count * 1_000) / rate - performance.now();
    if (early > 0) await pause(early);
    count += 1;
    try {
      yield { ...result, ...told(await whenThereIsRoom(() => replay(letters, letter, entry))) };
    } catch (error) {
      yield { ...result, outcome: 'failed', reason: reasonOf(error) };
      if (!(error instanceof TransportError) || error.code !== 'TooLarge') return;
    }
  }
}

const whenThereIsRoom = async <T>(act: () => Promise<T>): Promise<T> => {
  const end = performance.now() + fullForMs;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof TransportError) || error.code !== 'StreamFull' || performance.now() > end) throw error;
      await pause(againMs);
    }
  }
};

const told = (done: Awaited<ReturnType<typeof replay>>): Pick<Result, 'outcome' | 'reason'> => {
  switch (done.outcome) {
    case 'replayed':
      return { outcome: 'replayed' };
    case 'duplicate':
      return {
        outcome: 'duplicate',
        reason:
          'the inbox had this replay within the last two minutes: look whether it went through, then discard the dead letter or try again later',
      };
    case 'kept':
      return {
        outcome: 'kept',
        reason: `it is in the inbox, and still among the dead letters (${reasonOf(done.cause)}): discard it, do not replay it again`,
      };
  }
};
