import { reject } from '../errors.ts';
import { endOfLine } from './split-marks.ts';

/* As `split` does with a body that is here, for one that lies in parts: no more of it is held than a part and what it makes. */
type Pieces = AsyncIterable<Uint8Array>;

/** What one message may be made of: without an end it would be the whole body. */
export const mostBytes = 4 * 1024 * 1024;

export async function* betweenMarks(pieces: Pieces, mark: Buffer, isLine: boolean): AsyncGenerator<Uint8Array> {
  let left: Buffer = Buffer.alloc(0);
  for await (const piece of pieces) {
    const searchedTo = Math.max(0, left.length - mark.length + 1);
    const bytes = left.length === 0 ? viewOf(piece) : Buffer.concat([left, piece]);
    let start = 0;
    for (let found = bytes.indexOf(mark, searchedTo); found >= 0; found = bytes.indexOf(mark, start)) {
      const end = isLine ? endOfLine(bytes, start, found) : found;
      if (end > start) yield bytes.subarray(start, end);
      start = found + mark.length;
    }
    left = bytes.subarray(start);
    if (left.length > mostBytes)
      throw reject('PartTooLarge', `split: ${mostBytes} bytes without an end of a line or record`);
  }
  const end = isLine ? endOfLine(left, 0, left.length) : left.length;
  if (end > 0) yield left.subarray(0, end);
}

/** The whole is known to be a multiple of it. */
export async function* ofSizeIn(pieces: Pieces, size: number): AsyncGenerator<Uint8Array> {
  let left: Buffer = Buffer.alloc(0);
  for await (const piece of pieces) {
    const bytes = left.length === 0 ? viewOf(piece) : Buffer.concat([left, piece]);
    let start = 0;
    for (; start + size <= bytes.length; start += size) yield bytes.subarray(start, start + size);
    left = bytes.subarray(start);
  }
}

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
