import type { Clock } from './memory.ts';
import { type Entry, type Stored, TransportError } from './transport.ts';

/** As the operator plans them; what only a server can do is left out. */
export interface MemoryStreamSpec {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention: 'limits' | 'workqueue';
  readonly discard: 'old' | 'new';
  readonly maxBytes: number;
  readonly maxMsgsPerSubject?: number;
  readonly duplicateWindowMs?: number;
  readonly consumers: readonly MemoryConsumerSpec[];
}
export interface MemoryConsumerSpec {
  readonly name: string;
  /** None: everything. */
  readonly filters: readonly string[];
  readonly ackWaitMs: number;
  readonly maxAckPending: number;
  /** `new`: begins with what comes after it. Everything else: with the first message that is there. */
  readonly deliver?: 'all' | 'new' | { readonly after: number };
}

export interface StoredEntry extends Entry {
  readonly sequence: number;
  /** When it was stored, in milliseconds. */
  readonly at: number;
}
export interface MemoryStream {
  readonly name: string;
  takes(subject: string): boolean;
  publish(entry: Entry): Stored;
  /** The first one after `sequence` that fits. */
  after(sequence: number, fits: (subject: string) => boolean): StoredEntry | undefined;
  get(sequence: number): StoredEntry | undefined;
  count(after: number, fits: (subject: string) => boolean): number;
  /** Sequence of the newest one ever. */
  last(): number;
  /** A consumer is done with it. */
  acknowledged(sequence: number): void;
  size(which?: (headers: Entry['headers']) => boolean): number;
  /** Called after each new entry. */
  onStored(listener: () => void): void;
}

/** The server's default. */
const duplicateWindowMs = 120_000;

export const createMemoryStream = (spec: MemoryStreamSpec, clock: Clock): MemoryStream => {
  const { name, maxBytes, maxMsgsPerSubject } = spec;
  const takes = subjectMatcher(spec.subjects);
  const entries = new Map<number, StoredEntry>();
  const seen = new Map<string, { readonly sequence: number; readonly at: number }>();
  const listeners: (() => void)[] = [];
  let last = 0;
  let bytes = 0;

  const drop = (entry: StoredEntry) => {
    entries.delete(entry.sequence);
    bytes -= sizeOf(entry);
  };
  const forget = () => {
    const window = spec.duplicateWindowMs ?? duplicateWindowMs;
    for (const [id, { at }] of seen) {
      if (clock.now() - at < window) return;
      seen.delete(id);
    }
  };
  const makeRoom = (size: number) => {
    if (bytes + size <= maxBytes) return;
    if (spec.discard === 'new' || size > maxBytes) {
      throw new TransportError('StreamFull', `"${name}" is full: ${bytes} of ${maxBytes} bytes are used`);
    }
    for (const entry of entries.values()) {
      if (bytes + size <= maxBytes) return;
      drop(entry);
    }
  };
  const keepNewest = (subject: string) => {
    if (maxMsgsPerSubject === undefined) return;
    const same = [...entries.values()].filter((entry) => entry.subject === subject);
    for (const entry of same.slice(0, Math.max(0, same.length - maxMsgsPerSubject))) drop(entry);
  };

  return {
    name,
    takes,
    publish({ subject, id, headers, body }) {
      forget();
      const known = seen.get(id);
      if (known) return { sequence: known.sequence, duplicate: true };
      // The same bytes for ever, whatever the caller does with its own.
      const entry = {
        subject,
        id,
        headers: { ...headers },
        body: Uint8Array.from(body),
        sequence: last + 1,
        at: clock.now(),
      };
      makeRoom(sizeOf(entry));
      last = entry.sequence;
      entries.set(last, entry);
      bytes += sizeOf(entry);
      seen.set(id, entry);
      keepNewest(subject);
      for (const listener of listeners) listener();
      return { sequence: entry.sequence, duplicate: false };
    },
    after(sequence, fits) {
      for (const entry of entries.values()) if (entry.sequence > sequence && fits(entry.subject)) return entry;
      return undefined;
    },
    get: (sequence) => entries.get(sequence),
    count: (after, fits) =>
      [...entries.values()].filter((entry) => entry.sequence > after && fits(entry.subject)).length,
    last: () => last,
    acknowledged(sequence) {
      const entry = entries.get(sequence);
      if (entry && spec.retention === 'workqueue') drop(entry);
    },
    size: (which) => (which ? [...entries.values()].filter(({ headers }) => which(headers)).length : entries.size),
    onStored: (listener) => void listeners.push(listener),
  };
};

/** What a server adds to each entry, roughly. */
const overhead = 40;
const sizeOf = ({ subject, id, headers, body }: Entry): number => {
  let bytes = overhead + subject.length + id.length + body.length;
  for (const name in headers) bytes += name.length + (headers[name] as string).length;
  return bytes;
};

/** Subjects of NATS: `*` stands for one token, a `>` at the end for all that follow. */
export const subjectMatcher = (patterns: readonly string[]): ((subject: string) => boolean) => {
  const split = patterns.map((pattern) => pattern.split('.'));
  return (subject) => {
    const tokens = subject.split('.');
    return split.some(
      (pattern) =>
        (pattern.at(-1) === '>' ? tokens.length >= pattern.length : tokens.length === pattern.length) &&
        pattern.every((token, at) => token === '*' || token === '>' || token === tokens[at]),
    );
  };
};
