/*
 * What the engine and the gateway need of a broker. JetStream is the real one; the one in memory serves local runs. The engine sees
 * only this: no NATS type passes through.
 */
export interface Entry {
  readonly subject: string;
  /** Deduplication id, stable across repeats of the same publish. */
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}
export interface Stored {
  readonly sequence: number;
  readonly duplicate: boolean;
}

/**
 * `StreamFull`: refuse or wait. `Unavailable`: the broker cannot be reached. `Unanswered`: it was there all the time and said nothing. Others
 * are configuration or bugs.
 */
export type TransportCode =
  | 'StreamFull'
  | 'Unavailable'
  | 'Unanswered'
  | 'NoStream'
  | 'TooLarge'
  | 'Denied'
  | 'Conflict';
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code: TransportCode;
  constructor(code: TransportCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** One delivery of a stored message. Exactly one of ack and nak ends it; `working` resets its AckWait. */
export interface Delivery {
  readonly stream: string;
  readonly sequence: number;
  readonly subject: string;
  /** 1 for the first delivery; rises on NAK, expiry and restart alike, so attempts never come from it. */
  readonly deliveries: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** When it was stored, by the broker's clock: ms since 1970. */
  storedMs(): number;
  /** Confirmed by the server (double ack). */
  ack(): Promise<void>;
  /** Parks the message on the server for `delayMs` (0: at once). */
  nak(delayMs: number): void;
  working(): void;
}

export interface Consumption {
  /** `credit` grew. */
  more(): void;
  /** Stops pulling; what was delivered stays valid until its AckWait. */
  stop(): Promise<void>;
  /** After `stop` and the last ack: lets the next one of those that read exclusively begin at once. */
  handOver(): Promise<void>;
}
export interface ConsumerFill {
  /** Sequence of the last message in the stream that was delivered, to whomever. */
  readonly deliveredTo: number;
  readonly pending: number;
  /** Whose turn it is, where one reads at a time; as the broker names it. */
  readonly owner?: string | undefined;
  readonly ackPending: number;
  readonly maxAckPending: number;
}

/**
 * Keys hold small JSON; every write states the revision it replaces (0: must not exist). `Conflict` when it lost. What is written for
 * `ttlMs` is forgotten then, to the second; a later write sets a new time or none.
 */
export interface State {
  read(key: string): Promise<{ value: Uint8Array; revision: number } | undefined>;
  write(key: string, value: Uint8Array, revision: number, ttlMs?: number): Promise<number>;
  remove(key: string): Promise<void>;
}

export interface Transport {
  /** Resolves after the broker stored it. */
  publish(entry: Entry): Promise<Stored>;
  /**
   * Pulls from a durable consumer; supervised: a lost heartbeat, a deleted consumer or a leader change is healed inside, with
   * back-off. `credit` is asked before each pull for how many more deliveries the caller will hold (0: pause); call `more()` when it grew.
   */
  consume(consumer: { stream: string; name: string }, options: ConsumeOptions): Consumption;
  fill(consumer: { stream: string; name: string }): Promise<ConsumerFill>;
  readonly state: State;
  /** Parts of the bodies of an Integration that are too large for a message; see runtime/bodies. */
  readonly bodies: (integration: string) => State;
  /**
   * Counts connections. What is published while it changes may be sent twice: then its own first copy is what makes it a duplicate, and a
   * refusal says nothing about that one.
   */
  readonly connections: () => number;
  readonly healthy: () => boolean;
  readonly maxPayload: () => number;
  close(): Promise<void>;
}

/** Request-reply, apart from all that is stored: what was asked is asked once. */
export interface IncomingCall {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Once. Throws when it is larger than the server takes. */
  answer(headers: Readonly<Record<string, string>>, body: Uint8Array): void;
}
export interface CallServer {
  /** One of the group gets each call. `stop` resolves when no more come. */
  serve(subject: string, group: string, handle: (call: IncomingCall) => void): { stop(): Promise<void> };
}
/** Words among the workers of one Integration: nothing is stored, some may be lost, and who tells one hears it, too. */
export interface Notices {
  tell(subject: string, text: string): void;
  hear(subject: string, take: (text: string) => void): { stop(): void };
}
export interface ConsumeOptions {
  readonly credit: () => number;
  readonly deliver: (delivery: Delivery) => void;
  /**
   * One reader at a time: this one may have to wait for its turn. `changed` is called before the first delivery of a turn and when a turn
   * was lost: others may have read meanwhile. Its credit must not fall to 0, since an open pull is the sign that the owner lives.
   */
  readonly exclusive?: { changed(isOwner: boolean): void };
}
