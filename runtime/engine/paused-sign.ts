import type { Log } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import { pausedKey } from '../nats/names.ts';
import type { PausedRecord } from '../nats/paused.ts';
import type { State } from '../transport/transport.ts';

/*
 * A pause, where the operator reads it (decision 015). It is said again and again as long as it lasts and forgotten soon after, so that a
 * worker that dies leaves no trace for long. Several workers of one Integration write one key: what one says holds for all.
 */
export interface PausedSign {
  /** Of now; called often. */
  show(reason: PausedRecord | undefined): void;
  /** Takes it back, if it was said. */
  close(): Promise<void>;
}

const againMs = 30_000;
/** Two of them may fail. */
const forgottenAfterMs = 100_000;

export const createPausedSign = (
  state: State,
  integration: string,
  log: Log,
  now: () => number = Date.now,
): PausedSign => {
  const key = pausedKey(integration);
  let said: string | undefined;
  let saidAt = 0;
  let writing: Promise<void> = Promise.resolve();
  let busy = false;

  const write = async (text: string | undefined): Promise<void> => {
    if (text === undefined) await state.remove(key);
    else {
      const found = await state.read(key);
      await state.write(key, Buffer.from(text), found?.revision ?? 0, forgottenAfterMs);
    }
    said = text;
    saidAt = now();
  };
  const show = (reason: PausedRecord | undefined): void => {
    const text = reason && JSON.stringify(reason);
    const isDue = text !== undefined && now() - saidAt >= againMs;
    if (busy || (text === said && !isDue)) return;
    busy = true;
    writing = write(text)
      .catch((error: unknown) => log.warn({ reason: reasonOf(error) }, 'the pause could not be said; tried again'))
      .finally(() => void (busy = false));
  };
  return {
    show,
    async close() {
      await writing;
      show(undefined);
      await writing;
    },
  };
};
