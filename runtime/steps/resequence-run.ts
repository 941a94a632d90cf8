import { hash } from 'node:crypto';
import type { Attempt, OpenStep, StepContext } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileKeyText } from '../expr/key.ts';
import { compileWholeNumber } from '../expr/whole-number.ts';
import type { Message } from '../message.ts';
import { milliseconds } from '../schema.ts';
import { createAlarms, isWake } from './alarms.ts';
import { createLedger } from './ledger.ts';
import { partId } from './part-id.ts';
import type { ResequenceConfig } from './resequence.ts';
import {
  dueOf,
  type Entry,
  entryOf,
  look,
  type Queue,
  type Rules,
  sent,
  type Taken,
  take,
  weigh,
} from './resequence-queue.ts';
import { restoredMessage } from './stored-message.ts';

/*
 * What happens to a message, in this order:
 *   1. it is written into the queue of its key, or it is known to have been there already
 *   2. whoever's turn has come is put into the inbox, one after the other, and then taken out of the queue
 *   3. an alarm for the first of those that wait, if there was none; or, when the inbox is full, for those that are ready
 *   4. the message is acknowledged
 * A worker that dies in between leaves the message with the broker, and what was not done is done when it comes again, by the next message
 * of the key, or by the alarm.
 */
export const openResequence = (config: ResequenceConfig, { scope, memory, own, now }: StepContext): OpenStep => {
  const keyOf = compileKeyText('resequence.key', config.key);
  const numberOf = compileWholeNumber('resequence.number', config.number);
  const queues = createLedger<Queue>(memory, weigh);
  const alarms = createAlarms({ memory, own, now });
  const rules: Rules = {
    first: config.first,
    timeoutMs: milliseconds(config.timeout) ?? 0,
    onGap: config.onGap ?? 'Continue',
    keepMs: milliseconds(config.keep ?? defaultKeep) ?? 0,
  };
  const drops = config.late === 'Drop';

  const enter = async (token: string, entry: Entry, room: number): Promise<Taken & { readonly isFirst: boolean }> => {
    for (;;) {
      const taken = await queues.change(token, (found) => take(found, entry, { ...rules, now: now(), room }));
      const { ready } = taken.queue;
      const queue = ready.length > 0 ? await send(token, taken.queue) : taken.queue;
      const [first] = taken.queue.waiting;
      const isFirst = taken.queue.waiting.length === 1 && first?.id === entry.id;
      if (taken.kind !== 'full') return { ...taken, queue, isFirst };
      if (ready.length > 0 && queue.ready.length < ready.length) continue;
      throw reject('TooManyWaiting', `more messages wait for number ${queue.next ?? 'one'} than can be kept`);
    }
  };

  /** Puts those that are ready into the inbox, as far as it has room. */
  const send = async (token: string, from: Queue): Promise<Queue> => {
    let queue = from;
    while (queue.ready.length > 0) {
      const gone: string[] = [];
      for (const entry of queue.ready) {
        if (!(await own.put(marked(entry)))) break;
        gone.push(entry.id);
      }
      if (gone.length === 0) return queue;
      queue = await queues.change(token, (found) => sent(found, gone, { ...rules, now: now() }));
    }
    return queue;
  };

  const nextLook = (queue: Queue): number | undefined =>
    queue.ready.length > 0 ? now() + fullMs : dueOf(queue, rules);

  return {
    async run(message, attempt) {
      const variables = scope(message, attempt);
      const key = keyOf(variables);
      const number = numberOf(variables);
      const token = hash('sha256', key, 'base64url').slice(0, 27);
      const attrs = { ...message.attrs, partitionkey: key };
      const entry = entryOf(partId(message, attempt), number, now(), { ...message, attrs });
      const room = await own.room();
      if (entry.bytes > room) throw reject('MessageTooLarge', `the message leaves no room for others: ${room} bytes`);
      if (attempt.repeated) await alarms.release(token, attempt.origin);
      const { kind, queue, isFirst } = await enter(token, entry, room);
      const due = nextLook(queue);
      if (due !== undefined && (isFirst || queue.ready.length > 0 || attempt.repeated))
        await alarms.set(token, { number: queue.turn, due }, attempt.origin);
      if (kind === 'taken' || drops) return undefined;
      // Who replays a dead letter wants it delivered.
      if (attempt.replay !== undefined) return message;
      if (kind === 'twice') throw reject('NumberTaken', `another message with number ${number} waits already`);
      throw reject('TooLate', `number ${number} is over: the next one is ${queue.next}`);
    },
    async resume(message, attempt) {
      if (!isWake(message)) return passed(message, attempt);
      await alarms.ring(message, attempt, async (token) => {
        const queue = await send(token, await queues.change(token, (found) => look(found, now(), rules)));
        return { number: queue.turn, due: nextLook(queue) };
      });
      return undefined;
    },
  };
};

const defaultKeep = '24h';
const fullMs = 1_000;

const gapAttribute = 'sequencegap';
const marked = (entry: Entry): Message => {
  const message = restoredMessage(entry.message);
  if (entry.gap === undefined) return message;
  return { ...message, attrs: { ...message.attrs, [gapAttribute]: String(entry.gap) } };
};
const passed = (message: Message, { replay }: Attempt): Message => {
  const { [gapAttribute]: gap, ...attrs } = message.attrs;
  if (gap === undefined) return message;
  if (replay === undefined) throw reject('GapTimeout', `number ${gap} did not come within resequence.timeout`);
  return { ...message, attrs };
};
