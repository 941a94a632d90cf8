import { reject } from '../errors.ts';
import { Body, type JsonValue } from '../message.ts';
import { mostBytes } from './split-parts.ts';

/*
 * The items of a list within a JSON text that comes in pieces; no more of it is held than a piece and an item. Items are read as JSON, what is
 * around them is only looked through: brackets, strings, and the names on the way to the list. Of fields of the same name the first counts.
 */
export async function* itemsIn(pieces: AsyncIterable<Uint8Array>, path: readonly string[]): AsyncGenerator<JsonValue> {
  const list = new ListReader(path);
  for await (const piece of pieces)
    for (const item of list.read(Buffer.from(piece.buffer, piece.byteOffset, piece.length))) yield item;
  list.end();
}

const code = (character: string): number => character.charCodeAt(0);
const [quote, backslash, comma, colon] = [code('"'), code('\\'), code(','), code(':')];
const [openList, closeList, openObject, closeObject] = [code('['), code(']'), code('{'), code('}')];
const byteOrderMark = new Set([0xef, 0xbb, 0xbf]);
const isSpace = (byte: number): boolean => byte === 32 || byte === 10 || byte === 13 || byte === 9;

/** Names that are longer are not looked for: an expression has no room for them. */
const longestName = 8_192;

class ListReader {
  readonly #path: readonly string[];
  /** Before the value that is on the way to the list; within an object on the way; within the list; behind it. */
  #place: 'before' | 'object' | 'list' | 'behind' = 'before';
  /** Names of the way that were found. */
  #found = 0;
  #depth = 0;
  /** How deep the direct content of the object or list is. */
  #level = 0;
  #inString = false;
  #escaped = false;
  #isName = false;
  #isOnWay = false;
  /** Of the item, or of the name, that is read: what earlier pieces had of it. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #items = 0;

  constructor(path: readonly string[]) {
    this.#path = path;
  }

  *read(bytes: Buffer): Generator<JsonValue> {
    let from = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] as number;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) {
          this.#inString = false;
          if (this.#isName) this.#named(this.#taken(bytes, from, at + 1));
        }
        continue;
      }
      if (this.#place === 'before') {
        if (isSpace(byte) || (this.#depth === 0 && byteOrderMark.has(byte))) continue;
        this.#enter(byte);
        from = at + 1;
        continue;
      }
      if (byte === quote) {
        this.#inString = true;
        this.#isName = this.#place === 'object' && this.#isName && this.#depth === this.#level;
        if (this.#isName) from = at;
      } else if (byte === openList || byte === openObject) this.#depth += 1;
      else if (this.#place === 'list' && this.#depth === this.#level && (byte === comma || byte === closeList)) {
        const item = this.#taken(bytes, from, at);
        if (byte === comma || this.#items > 0 || !item.every(isSpace)) {
          this.#items += 1;
          yield Body.fromBytes(item).value();
        }
        from = at + 1;
        if (byte === closeList) this.#leave();
      } else if (byte === closeList || byte === closeObject) this.#close();
      else if (this.#place === 'object' && this.#depth === this.#level) this.#between(byte);
      else if (this.#depth === 0 && !isSpace(byte)) throw notJson('goes on behind its end');
    }
    if (this.#place === 'list' || (this.#inString && this.#isName)) this.#hold(bytes.subarray(from));
  }

  end(): void {
    if (this.#place !== 'behind' || this.#depth > 0 || this.#inString) throw notJson('ends too early');
  }

  #enter(byte: number): void {
    if (this.#found === this.#path.length) {
      if (byte !== openList) throw reject('NotAList', `split.items must be a list: ${this.#where()} is none`);
      this.#place = 'list';
    } else {
      if (byte !== openObject) throw missing(`${this.#where()} is no object`);
      this.#place = 'object';
      this.#isName = true;
    }
    this.#depth += 1;
    this.#level = this.#depth;
  }

  #named(text: Buffer): void {
    this.#isName = false;
    this.#isOnWay = text.length <= longestName && Body.fromBytes(text).value() === this.#path[this.#found];
  }

  #between(byte: number): void {
    if (byte === comma) this.#isName = true;
    if (byte !== colon || !this.#isOnWay) return;
    this.#isOnWay = false;
    this.#found += 1;
    this.#place = 'before';
  }

  #close(): void {
    if (this.#place === 'list' && this.#depth === this.#level) throw notJson('has a list that ends like an object');
    if (this.#place === 'object' && this.#depth === this.#level)
      throw missing(`${this.#where()} has no ${this.#path[this.#found]}`);
    this.#depth -= 1;
    if (this.#depth < 0) throw notJson('goes on behind its end');
  }

  #leave(): void {
    this.#depth -= 1;
    this.#place = 'behind';
  }

  #where(): string {
    return ['body', ...this.#path.slice(0, this.#found)].join('.');
  }

  #hold(bytes: Buffer): void {
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > mostBytes) throw reject('PartTooLarge', `split: an item has more than ${mostBytes} bytes`);
    this.#held.push(bytes);
  }

  #taken(bytes: Buffer, from: number, to: number): Buffer {
    const last = bytes.subarray(from, to);
    if (this.#held.length === 0) return last;
    this.#hold(last);
    const whole = Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return whole;
  }
}

const notJson = (how: string) => reject('BodyNotJson', `the body is no JSON: it ${how}`);
const missing = (what: string) => reject('ExpressionFailed', `split.items: ${what}`);
