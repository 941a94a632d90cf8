import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import type { JsonValue } from '../message.ts';
import { duration, integer, milliseconds, shape } from '../schema.ts';
import { unlessAborted } from '../waiting.ts';
import { namesAreValues, openRequest, requestFields } from './http-request.ts';
import { variableName, withVariable } from './variables.ts';

/** Many of them are kept. */
const mostAnswerBytes = 64 * 1024;
/** Of a request that several messages wait for, whatever time each of them has left. */
const longestMs = 30_000;

const config = shape(
  'Looks something up; answers are used again.',
  {
    as: variableName('The answer is vars.<name> for later steps.'),
    http: shape('Request to an HTTP server; always GET.', requestFields).superRefine((value, context) => {
      const message = namesAreValues(value);
      if (message !== undefined) context.addIssue({ code: 'custom', path: ['path'], message });
    }),
    cache: shape('How answers are kept.', {
      for: duration('How long an answer is used.'),
      entries: integer('Answers that are kept; 1000 when absent.', 1, 100_000).optional(),
    }),
  },
  {
    doc: 'Answers are kept by path and query, in the memory of each worker: the least used go first. Messages that want the same answer while it is under way wait for one request. Failures are not kept; a 404 with onNotFound Continue is. An answer has at most 64 KiB.',
  },
);

interface Entry {
  readonly value: Promise<JsonValue>;
  /** Infinity while it is under way. */
  until: number;
}

/** Content enricher for what changes seldom. */
export const lookupStep = defineStep<z.infer<typeof config>>({
  name: 'lookup',
  summary: 'Looks something up, with a cache, into a variable.',
  config,
  state: 'none',
  connectors: ['http'],
  async open({ as, http, cache: { for: keptFor, entries: most = 1_000 } }, context) {
    const keptMs = milliseconds(keptFor) ?? 0;
    const { pathOf, ask, close } = await openRequest('lookup.http', 'GET', http, mostAnswerBytes, context);
    const entries = new Map<string, Entry>();
    const fresh = (path: string): Entry => {
      const value = ask(path, { body: nothing, own: {}, signal: AbortSignal.timeout(longestMs) });
      const entry: Entry = { value, until: Number.POSITIVE_INFINITY };
      value.then(
        () => {
          entry.until = performance.now() + keptMs;
        },
        () => {
          if (entries.get(path) === entry) entries.delete(path);
        },
      );
      return entry;
    };
    const found = (path: string): Entry => {
      const kept = entries.get(path);
      const entry = kept && performance.now() < kept.until ? kept : fresh(path);
      // A map keeps the order in which keys were put in: the first is the one that was not used for longest.
      entries.delete(path);
      entries.set(path, entry);
      if (entries.size > most) entries.delete(entries.keys().next().value as string);
      return entry;
    };
    return {
      async run(message, attempt) {
        const { value } = found(pathOf(context.scope(message, attempt)));
        return withVariable(message, as, await unlessAborted(value, attempt.signal));
      },
      async close() {
        entries.clear();
        close();
      },
    };
  },
  examples: () => [
    {
      why: 'the name of a country, asked for once an hour',
      config: {
        as: 'country',
        http: { connectionRef: { name: 'codes' }, path: '/countries/{code}', values: { code: '=body.country' } },
        cache: { for: '1h' },
      },
      answers: [{ status: 200, body: { name: 'Suomi' } }],
      given: { body: { country: 'FI' } },
      becomes: [{ body: { country: 'FI' }, vars: { country: { name: 'Suomi' } } }],
      asks: ['GET /countries/FI'],
    },
    {
      why: 'what is not there is null, and is kept as long',
      config: {
        as: 'country',
        http: {
          connectionRef: { name: 'codes' },
          path: '/countries',
          query: { code: '=body.country' },
          onNotFound: 'Continue',
        },
        cache: { for: '10m', entries: 300 },
      },
      answers: [{ status: 404 }],
      given: { body: { country: 'XX' } },
      becomes: [{ body: { country: 'XX' }, vars: { country: null } }],
      asks: ['GET /countries?code=XX'],
    },
    {
      why: 'a message that does not say what to look up',
      config: {
        as: 'country',
        http: { connectionRef: { name: 'codes' }, path: '/countries/{code}', values: { code: '=body.country' } },
        cache: { for: '1h' },
      },
      given: { body: { country: '' } },
      rejects: 'InvalidPath',
    },
    {
      why: 'no time: ask with call',
      config: { as: 'country', http: { connectionRef: { name: 'codes' } }, cache: { entries: 10 } },
      refused: 'cache.for',
    },
  ],
});

const nothing = new Uint8Array();
