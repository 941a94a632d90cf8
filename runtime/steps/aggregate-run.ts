import type { Attempt, OpenStep, StepContext } from '../connector.ts';
import { reject } from '../errors.ts';
import { compileKeyText } from '../expr/key.ts';
import { compilePredicate } from '../expr/predicate.ts';
import { compileTime } from '../expr/time.ts';
import { compileTree } from '../expr/tree.ts';
import { Body, type Message } from '../message.ts';
import type { AggregateConfig } from './aggregate.ts';
import {
  type Ended,
  type Gathering,
  type Group,
  look,
  messageOf,
  moved,
  type Part,
  rememberedMs,
  sent,
  type Taken,
  take,
} from './aggregate-groups.ts';
import { type Place, placesInWindows, placesOfSession, placesUntil } from './aggregate-places.ts';
import { createAlarms, isWake } from './alarms.ts';
import { createLedger } from './ledger.ts';
import { partId } from './part-id.ts';

/*
 * What happens to a message, in this order:
 *   1. it is written into the open group of its place, or it is known to be in one already
 *   2. if it opened the group: an alarm for the group's end
 *   3. if it ended the group: the group gets a value of its own, then the place is free for the next one (`conclude`)
 *   4. the group is put into the inbox, under an id that its first message decides; then its value keeps only who was in it (`send`)
 *   5. the message is acknowledged
 * A worker that dies in between leaves the message with the broker, and what was not done is done when it comes again, by the next message
 * of the place, or by the alarm. A full inbox holds up nobody: the message goes, which makes room, and the alarm sends the group.
 */
export const openAggregate = (config: AggregateConfig, { scope, memory, own, now }: StepContext): OpenStep => {
  const groups = createLedger<Gathering>(memory, ({ open }) => (open?.bytes ?? 0) + 100);
  const alarms = createAlarms({ memory, own, now });
  const placesOf = placing(config, scope);
  const holds = config.until?.when && compilePredicate('aggregate.until.when', config.until.when);
  const into = config.into === undefined ? undefined : compileTree(config.into);
  const count = config.until?.count ?? Number.POSITIVE_INFINITY;
  const drops = (config.window?.tumbling ?? config.window?.sliding)?.late === 'Drop';

  const isWhole = (attempt: Attempt) => (group: Group) =>
    group.ids.length >= count || (!!holds && holds(scope(messageOf(group.id, own.source, group), attempt)));

  /** False: it is late. */
  const add = async (place: Place, part: Part, room: number, attempt: Attempt): Promise<boolean> => {
    const rules = { place, room, now: now(), isWhole: isWhole(attempt) };
    if (attempt.repeated) await alarms.release(place.token, attempt.origin);
    for (;;) {
      const before = attempt.repeated ? await endedWith(place.token, part, attempt) : undefined;
      if (before?.isIn) return true;
      const checked = before?.number;
      const taken: Taken = await groups.change(place.token, (found) => take(found, part, { ...rules, checked }));
      if (taken.kind === 'moved') continue;
      if (taken.kind === 'late') return false;
      if (taken.kind === 'kept') {
        const { number, due, isFirst } = taken;
        if (isFirst) await alarms.set(place.token, { number, due }, attempt.origin);
        return true;
      }
      await conclude(place.token, taken.number, taken.ended);
      await sendOrWait(place.token, taken.number, attempt.origin);
      if (taken.kind === 'done') return true;
    }
  };

  /**
   * Whether it is in a group that has ended since it was accepted, before the group of this number. Only a message that was delivered before
   * can be.
   */
  const endedWith = async (
    token: string,
    part: Part,
    { acceptedAt, origin }: Attempt,
  ): Promise<{ readonly isIn: boolean; readonly number: number }> => {
    const { number, unsent } = await groups.change(token, (found) => ({ result: found ?? nothing }));
    for (let before = number - 1; before >= 0; before -= 1) {
      const found = await memory.read(endedKey(token, before));
      const ended = found?.value as Ended | undefined;
      if (!ended || ended.at < acceptedAt - clocksDifferMs) break;
      if (!ended.ids.includes(part.id)) continue;
      if (unsent.includes(before)) await sendOrWait(token, before, origin);
      return { isIn: true, number };
    }
    return { isIn: false, number };
  };

  const conclude = async (token: string, number: number, group: Group): Promise<void> => {
    const { id, ids, attrs, bodies } = group;
    const value: Ended = { id, at: now(), ids, message: { attrs, bodies } };
    const key = endedKey(token, number);
    if ((await memory.write(key, value, { revision: 0 })) === undefined) {
      // Somebody was faster; or what is there is of a time that the place has forgotten.
      const found = await memory.read(key);
      if (found && (found.value as Ended).id !== id) await memory.write(key, value, { revision: found.revision });
    }
    await groups.change(token, (found) => moved(found, group));
  };

  const sendOrWait = async (token: string, number: number, origin: string): Promise<void> => {
    if (!(await send(token, number))) await alarms.set(token, { number, due: now() + fullMs }, origin);
  };

  /** False: the inbox is full. */
  const send = async (token: string, number: number): Promise<boolean> => {
    const key = endedKey(token, number);
    const found = await memory.read(key);
    const { message, ...rest } = (found?.value ?? {}) as Partial<Ended>;
    if (found && message) {
      if (!(await own.put(messageOf(rest.id as string, own.source, message)))) return false;
      await memory.write(key, rest, { revision: found.revision, forMs: rememberedMs });
    }
    await groups.change(token, (gathering) => sent(gathering, number));
    return true;
  };

  const lookAt = async (token: string) => {
    const { number, ended } = await groups.change(token, (found) => look(found, now()));
    if (ended) await conclude(token, number, ended);
    const { unsent } = await groups.change(token, (found) => ({ result: found ?? nothing }));
    for (const each of unsent) if (!(await send(token, each))) break;
    const after = await groups.change(token, (found) => ({ result: found ?? forgotten }));
    if (after.ended || after.unsent.length > 0) return { number: after.number, due: now() + fullMs };
    return { number: after.number, due: after.open?.due };
  };

  return {
    async run(message, attempt) {
      const part = partOf(message, attempt);
      const room = await own.room();
      if (part.bytes + 2 > room) throw reject('MessageTooLarge', `the body leaves no room in a group: ${room} bytes`);
      let isLate = true;
      for (const place of placesOf(message, attempt)) if (await add(place, part, room, attempt)) isLate = false;
      if (isLate && !drops) throw reject('TooLate', 'every window of the message is over');
      return undefined;
    },
    async resume(message, attempt) {
      if (isWake(message)) {
        await alarms.ring(message, attempt, lookAt);
        return undefined;
      }
      if (!into) return message;
      const body = into.evaluate(scope(message, attempt));
      if (body !== undefined) return { ...message, body: Body.fromValue(body) };
      throw reject('NothingMapped', 'aggregate.into is an absent optional; give it orValue(...)');
    },
  };
};

const nothing: Gathering = { number: 0, unsent: [] };
/** Its alarms are of no use any more, whatever their numbers. */
const forgotten: Gathering = { number: Number.MAX_SAFE_INTEGER, unsent: [] };
const clocksDifferMs = 60_000;
const fullMs = 1_000;

const endedKey = (token: string, number: number) => `${token} ${number}`;

const placing = ({ key, until, window }: AggregateConfig, scope: StepContext['scope']) => {
  const keyOf = compileKeyText('aggregate.key', key);
  const places = until ? placesUntil(until) : window?.session ? placesOfSession(window.session.gap) : undefined;
  if (places) return (message: Message, attempt: Attempt) => places(keyOf(scope(message, attempt)));
  const { tumbling, sliding } = window ?? {};
  const windows = tumbling ? { ...tumbling, every: tumbling.size } : sliding;
  if (!windows) throw new Error('aggregate: neither until nor window is set');
  const inWindows = placesInWindows(windows);
  const timeOf = windows.time === undefined ? undefined : compileTime('aggregate.window.time', windows.time);
  return (message: Message, attempt: Attempt) => {
    const variables = scope(message, attempt);
    return inWindows(keyOf(variables), timeOf?.(variables) ?? attempt.acceptedAt);
  };
};

const partOf = (message: Message, attempt: Attempt): Part => {
  const { type, correlationid } = message.attrs;
  const body = message.body.value();
  return {
    id: partId(message, attempt),
    body,
    // Of the value, not of the bytes that came: those may have spaces.
    bytes: Body.fromValue(body).bytes().length,
    attrs: { type, ...(correlationid === undefined ? {} : { correlationid }) },
  };
};
