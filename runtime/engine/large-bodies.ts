import { loadBody, readBody } from '../bodies/read.ts';
import { keepBody, removeBody } from '../bodies/write.ts';
import type { Attempt, Log } from '../connector.ts';
import { postpone, reasonOf, reject } from '../errors.ts';
import { Body, type Message } from '../message.ts';
import { type BodyReference, referenceIn } from '../nats/body-reference.ts';
import type { Delivery, State } from '../transport/transport.ts';
import type { RunningAttempt } from './attempts.ts';
import type { Arrival, Way } from './journey.ts';
import type { Parts } from './parts.ts';
import { travelLarge } from './portions.ts';

/*
 * Messages whose body lies in parts beside the inbox. Steps and sinks that say so get it as it lies, and read it part by part or not at all;
 * the first one that does not say so gets the whole, and so do those behind it. Many wholes would end the worker, so there is room for few.
 */
export interface LargeBodies {
  /** Rejects with `BodyReferenceInvalid`. */
  travel(
    headers: Delivery['headers'],
    message: Message,
    parts: Parts,
    attempt: RunningAttempt,
    way: Way,
  ): Promise<Arrival>;
  keep(headers: Delivery['headers']): Promise<void>;
  /** Never rejects. */
  remove(headers: Delivery['headers']): Promise<void>;
}

/** Bytes that a worker loads at once; as values they take several times as much of the memory that it has (256Mi, if nobody says otherwise). */
export const mostLoaded = 16 * 1024 * 1024;
const mostWaitMs = 5_000;

export const createLargeBodies = (store: State, log: Log): LargeBodies => {
  const room = createRoom(mostLoaded);
  return {
    async travel(headers, message, parts, attempt, way) {
      const reference = referenceOf(headers);
      const inParts = Body.inPieces({ bytes: reference.bytes, read: () => readBody(store, reference) });
      let taking: Promise<void> | undefined;
      let loading: Promise<Body> | undefined;
      const load = async (): Promise<Body> => {
        taking = room.take(reference.bytes);
        await taking;
        return Body.fromBytes(await loadBody(store, reference));
      };
      const once = () => {
        loading ??= load();
        return loading;
      };
      try {
        return await travelLarge(loadingParts(parts, once), { ...message, body: inParts }, attempt, way);
      } finally {
        // Who was left behind may wait still.
        taking?.then(
          () => room.give(reference.bytes),
          () => undefined,
        );
      }
    },
    async keep(headers) {
      await keepBody(store, referenceOf(headers));
    },
    async remove(headers) {
      const reference = referenceOf(headers);
      await removeBody(store, reference).catch((error: unknown) =>
        log.warn({ body: reference.id, reason: reasonOf(error) }, 'a body stays until the operator finds it'),
      );
    },
  };
};

const referenceOf = (headers: Delivery['headers']): BodyReference => {
  const reference = referenceIn(headers);
  if (!reference) throw new Error('only for messages that refer to a body');
  return reference;
};

/** The same parts; those that need the whole body load it. */
const loadingParts = (parts: Parts, load: () => Promise<Body>): Parts => {
  const whole = async (message: Message): Promise<Message> =>
    message.body.large ? { ...message, body: await load() } : message;
  const steps = parts.steps.map((step) =>
    step.takesParts
      ? step
      : {
          ...step,
          run: async (message: Message, attempt: Attempt) => step.run(await whole(message), attempt),
          resume: async (message: Message, attempt: Attempt) => step.resume(await whole(message), attempt),
        },
  );
  // Conditions are looked at before any sink is called, without a wait.
  const looking = parts.sinks.find(({ looksAtBody }) => looksAtBody);
  const looked = looking && { ...looking, takesParts: true, run: whole, resume: whole };
  return {
    ...parts,
    steps: looked ? [...steps, looked] : steps,
    sinks: parts.sinks.map((sink) =>
      sink.takesParts
        ? sink
        : { ...sink, send: async (message: Message, attempt: Attempt) => sink.send(await whole(message), attempt) },
    ),
  };
};

interface Room {
  /** Throws `reject('BodyTooLarge')`, or `postpone('NoRoomForBody')` when others have all of it for long. */
  take(bytes: number): Promise<void>;
  give(bytes: number): void;
}
const createRoom = (most: number): Room => {
  let free = most;
  const waiting: { readonly bytes: number; readonly enter: () => void }[] = [];
  const next = () => {
    for (let first = waiting[0]; first && first.bytes <= free; first = waiting[0]) {
      waiting.shift();
      free -= first.bytes;
      first.enter();
    }
  };
  return {
    take(bytes) {
      if (bytes > most)
        return Promise.reject(
          reject(
            'BodyTooLarge',
            `this step or sink needs the whole body, which has ${bytes} bytes; a worker loads at most ${most}: let a split of lines, records or a list come first, or send it on as it is`,
          ),
        );
      return new Promise((resolve, fail) => {
        const enter = () => {
          clearTimeout(timer);
          resolve();
        };
        const entry = { bytes, enter };
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(entry), 1);
          fail(postpone('NoRoomForBody', 'other large bodies are being worked on'));
          next();
        }, mostWaitMs);
        waiting.push(entry);
        next();
      });
    },
    give(bytes) {
      free += bytes;
      next();
    },
  };
};
