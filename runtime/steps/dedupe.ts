import type { z } from 'zod';
import { defineStep, type Fate, type StepMemory } from '../connector.ts';
import { postpone } from '../errors.ts';
import { cel } from '../expr/fields.ts';
import { compileKeyText } from '../expr/key.ts';
import { duration, durationPattern, milliseconds, shape } from '../schema.ts';

const hour = 3_600_000;
const longestWindow = 720 * hour;
const windowText = 'write at least 1s and at most 720h';

const config = shape('Drops messages that were delivered already.', {
  key: cel('What tells messages apart, such as body.invoiceNo.'),
  window: duration('How long a delivered key is remembered.', {
    doc: 'From 1s to 720h, counted from the delivery. Each key takes some 300 bytes of the 64Mi that a tenant has for state.',
  })
    .refine((value) => inWindow(milliseconds(value)), { message: windowText })
    .meta({
      'x-kubernetes-validations': [
        {
          rule: `!self.matches('${durationPattern}') || (duration(self) >= duration('1s') && duration(self) <= duration('720h'))`,
          message: windowText,
        },
      ],
    }),
});
/** What is no duration is said by another rule. */
const inWindow = (ms: number | undefined): boolean =>
  ms === undefined || ms === 0 || (ms >= 1_000 && ms <= longestWindow);

/*
 * Idempotent receiver in two phases. A message claims its key before it goes on; the claim is confirmed once every sink has the message.
 * Only a confirmed key makes another message a repeat: one that died, failed or is still on its way could be the last there is, so
 * those with the same key wait until it is decided. A claim whose message never comes back ends by itself.
 */
interface Claim {
  readonly origin: string;
  readonly id: string;
  readonly state?: 'done' | 'free';
}

const claimMs = hour / 4;
/** What is free needs to be there only as long as others may have read it. */
const freeMs = 1_000;
const mostConflicts = 5;

export const dedupeStep = defineStep<z.infer<typeof config>>({
  name: 'dedupe',
  summary: 'Drops messages that were delivered already.',
  config,
  state: 'kept',
  open({ key, window }, { scope, memory }) {
    const keyOf = compileKeyText('dedupe.key', key);
    const windowMs = milliseconds(window) ?? longestWindow;
    return {
      async run(message, attempt) {
        const name = keyOf(scope(message, attempt));
        const mine = { origin: attempt.origin, id: message.attrs.id };
        const revision = await claim(memory, name, mine);
        if (revision === undefined) return undefined;
        attempt.settled(settle(memory, name, mine, { revision, windowMs }));
        return message;
      },
    };
  },
  examples: () => [
    {
      why: 'the first with its key goes on; after its delivery the others are dropped for a day',
      config: { key: 'body.invoiceNo', window: '24h' },
      given: { body: { invoiceNo: 'A-7' } },
      becomes: [{ body: { invoiceNo: 'A-7' } }],
    },
    {
      why: 'a key of several values',
      config: { key: "body.shop + '/' + string(body.no)", window: '168h' },
      given: { body: { shop: 'a', no: 7 } },
      becomes: [{ body: { shop: 'a', no: 7 } }],
    },
    {
      why: 'a message without the key',
      config: { key: 'body.invoiceNo', window: '24h' },
      given: { body: { no: 7 } },
      rejects: 'KeyMissing',
    },
    { why: 'a window beyond all room', config: { key: 'body.no', window: '8760h' }, refused: 'at most 720h' },
  ],
});

/** The revision of our claim; nothing when the message is a repeat. Most keys are new, so the claim is tried before it is looked for. */
const claim = async (memory: StepMemory, name: string, mine: Claim): Promise<number | undefined> => {
  let revision = 0;
  for (let conflicts = 0; conflicts < mostConflicts; conflicts += 1) {
    const written = await memory.write(name, mine, { revision, forMs: claimMs });
    if (written !== undefined) return written;
    const found = await memory.read(name);
    revision = found?.revision ?? 0;
    if (found && isRepeat(found.value as Claim, mine)) return undefined;
  }
  throw postpone('DuplicateInWork', 'many messages with the same dedupe.key came at once');
};

const isRepeat = (found: Claim, mine: Claim): boolean => {
  if (found.state === 'done') return true;
  if (found.state === 'free') return false;
  // Of the messages that one became, the first has the key, at every attempt the same.
  if (found.origin === mine.origin) return found.id !== mine.id;
  throw postpone('DuplicateInWork', 'a message with the same dedupe.key is not delivered yet');
};

/** Whoever took the key over because our claim had ended keeps it. */
const settle =
  (memory: StepMemory, name: string, mine: Claim, { revision, windowMs }: { revision: number; windowMs: number }) =>
  async (fate: Fate): Promise<void> => {
    const [state, forMs] = fate === 'delivered' ? (['done', windowMs] as const) : (['free', freeMs] as const);
    await memory.write(name, { ...mine, state }, { revision, forMs });
  };
