import { stripVTControlCharacters } from 'node:util';
import { expect } from 'vitest';
import { type RunOptions, run } from '../../../cli/local/run.ts';

/* `kanava run` in this process, and what it says. */
export interface Printed {
  readonly integration: string;
  readonly sink: string;
  readonly body: unknown;
}
const deadline = { timeout: 120_000 };

/** What runs is ended by what `onEnd` is given, if not before. */
export const startRun = (
  given: Pick<RunOptions, 'paths'> & Partial<RunOptions>,
  onEnd: (end: () => Promise<void>) => void,
) => {
  let [data, notes] = ['', ''];
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const finished = run({
    namespace: 'local',
    secretsFolder: undefined,
    volumesFolder: undefined,
    once: undefined,
    to: undefined,
    port: 0,
    host: 'localhost',
    print: true,
    data: { write: (more) => (data += more) },
    notes: { write: (more) => (notes += stripVTControlCharacters(more)) },
    ended: () => ended,
    ...given,
  });
  const end = () => {
    resolve();
    return finished;
  };
  onEnd(async () => {
    await end().catch(() => undefined);
  });
  const says = (what: string | RegExp) => expect.poll(() => notes, deadline).toMatch(what);
  return {
    says,
    notes: () => notes,
    /** True when nothing was wrong. */
    finished,
    end,
    printed: () =>
      data
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Printed),
    /** Where the first http source listens. */
    async url() {
      await says(/http:\S+/);
      return /http:\S+/.exec(notes)?.[0] ?? '';
    },
  };
};

/** Resolves with the status. */
export const post = async (url: string, body: unknown): Promise<number> => {
  const headers = { 'content-type': 'application/json' };
  return (await fetch(url, { method: 'POST', body: JSON.stringify(body), headers })).status;
};
