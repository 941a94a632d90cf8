/**
 * Splits a byte stream, piece by piece, into its lines, without the unfinished last one: a connection that breaks in the middle of a line
 * has not said it. A line of more than `maxBytes` is an error, before it has been collected. Not an iterator that waits: that takes
 * longer than all else that is done with most lines.
 */
export const lineSplitter = (maxBytes: number): ((chunk: Uint8Array) => string[]) => {
  let parts: Uint8Array[] = [];
  let length = 0;
  const add = (part: Uint8Array) => {
    length += part.length;
    if (length > maxBytes) throw new Error(`a line of a watch is longer than ${maxBytes} bytes`);
    if (part.length > 0) parts.push(part);
  };
  return (chunk) => {
    const found: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      add(chunk.subarray(start, end));
      if (length > 0) found.push(Buffer.concat(parts).toString('utf8'));
      [parts, length] = [[], 0];
      start = end + 1;
    }
    add(chunk.subarray(start));
    return found;
  };
};
