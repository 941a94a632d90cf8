/**
 * The lines of a byte stream, without the unfinished last one: a connection that breaks in the middle of a line has not said it.
 * A line of more than `maxBytes` ends the stream with an error, before it has been collected.
 */
export async function* lines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]);
      parts = [];
      length = 0;
      start = end + 1;
      if (line.length > maxBytes) throw tooLong(maxBytes);
      if (line.length > 0) yield line.toString('utf8');
    }
    const rest = chunk.subarray(start);
    length += rest.length;
    if (length > maxBytes) throw tooLong(maxBytes);
    if (rest.length > 0) parts.push(rest);
  }
}

const tooLong = (maxBytes: number) => new Error(`a line of a watch is longer than ${maxBytes} bytes`);
