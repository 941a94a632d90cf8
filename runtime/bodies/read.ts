import { createHash } from 'node:crypto';
import { reject, retry } from '../errors.ts';
import { type BodyReference, bodyHeader } from '../nats/body-reference.ts';
import { bodyKey } from '../nats/names.ts';
import { type State, TransportError } from '../transport/transport.ts';

/** Parts asked for ahead of the one that is needed. */
const mostAhead = 4;

/**
 * The parts of a body, in order and no more than a few of them at once. Throws `retry('BodyMissing')`, because a copy of the stream may be a
 * moment behind, `reject('BodyDamaged')` at the end of one that is not what was accepted, and `retry('BodiesUnavailable')`.
 */
export async function* readBody(store: State, reference: BodyReference): AsyncGenerator<Uint8Array> {
  const { id, bytes, parts, sha256 } = reference;
  const asked: Promise<Uint8Array>[] = [];
  const ask = (part: number) => {
    const asking = partOf(store, reference, part);
    // Told to whoever gets there.
    asking.catch(() => undefined);
    asked.push(asking);
  };
  const digest = createHash('sha256');
  let length = 0;
  for (let part = 0; part < Math.min(mostAhead, parts); part += 1) ask(part);
  for (let part = 0; part < parts; part += 1) {
    const found = await (asked.shift() as Promise<Uint8Array>);
    if (part + mostAhead < parts) ask(part + mostAhead);
    digest.update(found);
    length += found.length;
    yield found;
  }
  if (length !== bytes || digest.digest('hex') !== sha256)
    throw reject(
      'BodyDamaged',
      `the parts of body ${id} are not what was accepted (${length} bytes instead of ${bytes}, or other ones); see the header ${bodyHeader}`,
    );
}

const partOf = async (store: State, { id, parts }: BodyReference, part: number): Promise<Uint8Array> => {
  const found = await store.read(bodyKey(id, part)).catch((cause: unknown) => {
    if (!(cause instanceof TransportError)) throw cause;
    throw retry('BodiesUnavailable', `part ${part} of body ${id}: ${cause.message}`, { cause });
  });
  if (found) return found.value;
  throw retry(
    'BodyMissing',
    `part ${part} of ${parts} of body ${id} is not there: the body was removed, when its message was done or its dead letter had expired`,
  );
};

/** The whole. Of one size from the beginning, so that it is held once. */
export const loadBody = async (store: State, reference: BodyReference): Promise<Uint8Array> => {
  const whole = Buffer.allocUnsafeSlow(reference.bytes);
  let filled = 0;
  for await (const part of readBody(store, reference)) {
    if (filled + part.length <= whole.length) whole.set(part, filled);
    filled += part.length;
  }
  return whole;
};
