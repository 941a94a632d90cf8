import type { OpenStep, StepContext } from '../connector.ts';
import { reject } from '../errors.ts';
import type { JsonValue, Message } from '../message.ts';
import { createAlarms, isWake, type Look } from './alarms.ts';
import { partId } from './part-id.ts';
import { restoredMessage, type StoredMessage, storedMessage } from './stored-message.ts';

/*
 * The message goes into the inbox, and then it is acknowledged. When the inbox is full it is kept in the state meanwhile, so that its
 * acknowledgement makes the room that it needs; an alarm puts it there.
 */
export const openCheckpoint = ({ memory, own, now }: StepContext): OpenStep => {
  const alarms = createAlarms({ memory, own, now });

  const keep = async (token: string, message: Message, origin: string): Promise<void> => {
    const stored = storedMessage(message);
    const room = await own.room();
    if (Buffer.byteLength(JSON.stringify(stored)) > room)
      throw reject('MessageTooLarge', `the inbox is full, and the message cannot be kept meanwhile: ${room} bytes`);
    // Whatever is there already is the same message.
    await memory.write(token, { message: stored }, { revision: 0 });
    await alarms.set(token, { number: now(), due: now() + fullMs }, origin);
  };

  const look: Look = async (token) => {
    const found = await memory.read(token);
    const { message } = (found?.value ?? {}) as { readonly message?: StoredMessage };
    if (!found || !message) return done;
    if (!(await own.put(restoredMessage(message)))) return { number: 0, due: now() + fullMs };
    await memory.write(token, {}, { revision: found.revision, forMs: 1_000 });
    return done;
  };

  return {
    async run(message, attempt) {
      const token = partId(message, attempt);
      if (attempt.repeated) await alarms.release(token, attempt.origin);
      const packed = withVariables(message);
      if (!(await own.put(packed))) await keep(token, packed, attempt.origin);
      return undefined;
    },
    async resume(message, attempt) {
      if (!isWake(message)) return unpacked(message);
      await alarms.ring(message, attempt, look);
      return undefined;
    },
  };
};

const fullMs = 1_000;
/** Nothing is to be looked at any more, whatever the alarm's number. */
const done = { number: Number.MAX_SAFE_INTEGER };

/** They go along as an attribute, so that the body stays what it is, in a dead letter, too. */
const attribute = 'kanavavars';
const mostVariables = 16 * 1024;

const withVariables = (message: Message): Message => {
  const { [attribute]: _, ...attrs } = message.attrs;
  const vars = message.vars && JSON.stringify(message.vars);
  if (vars && Buffer.byteLength(vars) > mostVariables)
    throw reject('VariablesTooLarge', `vars take more than ${mostVariables} bytes: keep what is needed in the body`);
  return { ...message, attrs: { ...attrs, ...(vars ? { [attribute]: vars } : {}) } };
};

const unpacked = (message: Message): Message => {
  const { [attribute]: vars, ...attrs } = message.attrs;
  if (vars === undefined) return message;
  const known = JSON.parse(vars) as Readonly<Record<string, JsonValue>>;
  return { ...message, attrs, vars: known };
};
