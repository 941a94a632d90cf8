import { isUtf8 } from 'node:buffer';
import { reject } from './errors.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A body too large for one message: it lies, or comes, in pieces, and only who must holds the whole. */
export interface LargeBody {
  /** Absent while it comes. */
  readonly bytes?: number;
  /** From the beginning; of a body that comes only once. Throws an instruction. */
  read(): AsyncIterable<Uint8Array>;
}

/** A body is bytes until a step needs a value, and a value until a sink needs bytes. Neither is ever changed in place. */
export class Body {
  #bytes: Uint8Array | undefined;
  #value: JsonValue | undefined;
  /** Set where the bytes are not here. */
  readonly large: LargeBody | undefined;

  private constructor(bytes: Uint8Array | undefined, value: JsonValue | undefined, large?: LargeBody) {
    this.#bytes = bytes;
    this.#value = value;
    this.large = large;
  }

  static fromBytes(bytes: Uint8Array): Body {
    return new Body(bytes, undefined);
  }

  static fromValue(value: JsonValue): Body {
    return new Body(undefined, value);
  }

  static inPieces(large: LargeBody): Body {
    return new Body(undefined, undefined, large);
  }

  /** Throws `reject('BodyTooDeep')`: no retry makes it flatter; `reject('BodyNotLoaded')` where it is in pieces. */
  bytes(): Uint8Array {
    this.#bytes ??= this.large ? notLoaded() : serialised(this.#value as JsonValue);
    return this.#bytes;
  }

  /** The body as JSON. Throws `reject('BodyNotJson')`: no retry makes it valid. */
  value(): JsonValue {
    if (this.#value === undefined) this.#value = parse(this.large ? notLoaded() : (this.#bytes as Uint8Array));
    return this.#value;
  }
}

const notLoaded = (): never => {
  throw reject('BodyNotLoaded', 'the body is too large to be looked at here: use attributes and headers');
};

/** What can be read may be too deep to be written: reading needs no stack. */
const serialised = (value: JsonValue): Uint8Array => {
  try {
    return Buffer.from(JSON.stringify(value));
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw reject('BodyTooDeep', `the body cannot be written as JSON: ${cause.message}`, { cause });
  }
};

const parse = (bytes: Uint8Array): JsonValue => {
  try {
    return JSON.parse(textOf(bytes)) as JsonValue;
  } catch (cause) {
    throw reject(
      'BodyNotJson',
      `the body (${bytes.length} bytes) is not valid UTF-8 JSON: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
};

/** As the decoder does, at half its cost for what has no byte order mark and is valid. */
const textOf = (bytes: Uint8Array): string =>
  bytes[0] !== byteOrderMark && isUtf8(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
    : decoder.decode(bytes);
const byteOrderMark = 0xef;

/** CloudEvents 1.0 attributes and extensions by their bare names (`id`, `source`, `type`, `correlationid` ...). */
export interface Attributes {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly specversion: '1.0';
  readonly [name: string]: string | undefined;
}

/** One message on its way: immutable. A step returns another one; `{...message, body}` shares the rest. */
export interface Message {
  readonly attrs: Attributes;
  /** Headers of the foreign protocol that the source was told to keep, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
  /** What steps keep beside the body for later ones; it goes nowhere else. */
  readonly vars?: Readonly<Record<string, JsonValue>>;
}
