import { createHash, randomUUID } from 'node:crypto';
import { reject, retry } from '../errors.ts';
import type { BodyReference } from '../nats/body-reference.ts';
import { bodyHead, bodyKey } from '../nats/names.ts';
import type { State } from '../transport/transport.ts';

/*
 * A body too large for a message, in parts beside the inbox. The head comes first and goes last: whatever dies in between leaves something
 * that hangs on a head, and whose age is known. The operator removes what nobody can refer to any more (operator/broker/bodies.ts).
 */
export interface WrittenBody {
  readonly reference: BodyReference;
  /** A message that refers to it must be stored within the hour after which the operator takes it for left behind. */
  isLate(): boolean;
}

const mostPartBytes = 256 * 1024;
/** Parts on their way at once: what a body in work takes of memory, together with the one that is being filled. */
const mostOnTheWay = 4;
const removedAtOnce = 32;
/** Less than `writtenWithinMs` of the operator, by what clocks may differ and a last publish may take. */
const lateAfterMs = 45 * 60_000;

export const writeBody = async (
  store: State,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { mostBytes, mostPayload }: { readonly mostBytes: number; readonly mostPayload: number },
): Promise<WrittenBody> => {
  const id = randomUUID();
  const begun = performance.now();
  const isLate = () => performance.now() - begun > lateAfterMs;
  const sha256 = createHash('sha256');
  const onTheWay = new Set<Promise<unknown>>();
  let failure: { readonly cause: unknown } | undefined;
  let [bytes, parts] = [0, 0];
  const put = async (part: Uint8Array) => {
    const writing: Promise<unknown> = store.write(bodyKey(id, parts), part, 0).then(
      () => onTheWay.delete(writing),
      (cause: unknown) => {
        onTheWay.delete(writing);
        failure ??= { cause };
      },
    );
    onTheWay.add(writing);
    parts += 1;
    if (onTheWay.size >= mostOnTheWay) await Promise.race(onTheWay);
    if (failure) throw failure.cause;
  };

  await store.write(bodyKey(id, bodyHead), Buffer.from(waitsHead), 0);
  try {
    for await (const part of inParts(pieces, Math.min(mostPartBytes, mostPayload))) {
      bytes += part.length;
      if (bytes > mostBytes) throw reject('MessageTooLarge', `the body has more than ${mostBytes} bytes`);
      if (isLate()) throw retry('BodyTooSlow', 'the body took too long to come');
      sha256.update(part);
      await put(part);
    }
    await Promise.all(onTheWay);
    if (failure) throw (failure as { cause: unknown }).cause;
  } catch (error) {
    await Promise.all(onTheWay);
    // What is left hangs on its head.
    await removeBody(store, { id, parts }).catch(() => undefined);
    throw error;
  }
  return { reference: { id, bytes, parts, sha256: sha256.digest('hex') }, isLate };
};

/** What a head says: a message with this body may wait in the inbox, or it may be among the dead letters, too. */
export const waitsHead = 'waits';
export const lettersHead = 'letters';

/** A dead letter is about to be written: from now on the body is kept as long as dead letters are. One that is gone stays so. */
export const keepBody = async (store: State, { id }: Pick<BodyReference, 'id'>): Promise<void> => {
  const key = bodyKey(id, bodyHead);
  const head = await store.read(key);
  if (head) await store.write(key, Buffer.from(lettersHead), head.revision);
};

/** Nobody refers to it. */
export const removeBody = async (store: State, { id, parts }: Pick<BodyReference, 'id' | 'parts'>): Promise<void> => {
  for (let from = 0; from < parts; from += removedAtOnce) {
    const numbers = Array.from({ length: Math.min(removedAtOnce, parts - from) }, (_, at) => from + at);
    await Promise.all(numbers.map((part) => store.remove(bodyKey(id, part))));
  }
  await store.remove(bodyKey(id, bodyHead));
};

/** The same bytes in parts of one size, each a copy of its own. */
async function* inParts(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  let part = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = Math.min(size - filled, piece.length - at);
      part.set(piece.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < size) continue;
      yield part;
      part = Buffer.allocUnsafeSlow(size);
      filled = 0;
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}
