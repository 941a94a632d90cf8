import type { Msg, MsgHdrs } from '@nats-io/transport-node';

/*
 * Headers as they lie on the wire: `NATS/1.0`, one `name: value` a line, an empty line. The client's own class keeps a map of lists and
 * looks through all its keys for each one that is set or read: more than everything else that happens to a message.
 */
type Headers = Readonly<Record<string, string>>;

const version = 'NATS/1.0';
const lineEnd = '\r\n';

/** Header lines; throws for one that would end before its value does. */
export const headerLines = (headers: Headers): string => {
  let lines = '';
  for (const name in headers) {
    const value = headers[name] as string;
    if (value.includes('\n') || value.includes('\r') || name.includes('\n') || name.includes('\r')) {
      throw new TypeError(`header "${name.slice(0, 80)}" has a line break, which would start another header`);
    }
    lines += `${name}: ${value}${lineEnd}`;
  }
  return lines;
};

/** `publish` of the client asks headers for their bytes and for nothing else. */
export const wireHeaders = (lines: string): MsgHdrs => {
  const block = Buffer.from(version + lineEnd + lines + lineEnd);
  return { encode: () => block } as unknown as MsgHdrs;
};

/** First value of each header of a message. */
export const headersOf = (message: Msg): Record<string, string> => {
  const block = blockOf(message);
  return block === undefined ? decodedByClient(message) : parsed(block);
};

/** The client's messages have it, its interface does not. */
interface SizedMsg extends Msg {
  /** Bytes of subject, reply, headers and data. */
  size?(): number;
}

/**
 * The client gives the data as a view that begins where the headers end, and the size of both together: the rest is the block. What is
 * there says whether it really is one.
 */
const blockOf = (message: SizedMsg): string | undefined => {
  const { data, subject, reply } = message;
  if (!message.size) return undefined;
  const length = message.size() - Buffer.byteLength(subject) - Buffer.byteLength(reply ?? '') - data.length;
  if (length <= 0 || length > data.byteOffset) return length === 0 ? '' : undefined;
  const block = Buffer.from(data.buffer, data.byteOffset - length, length).toString();
  return block.startsWith(version) && block.endsWith(lineEnd + lineEnd) ? block : undefined;
};

const parsed = (block: string): Record<string, string> => {
  const headers: Record<string, string> = {};
  let at = block.indexOf(lineEnd) + lineEnd.length;
  for (;;) {
    const end = block.indexOf(lineEnd, at);
    if (end <= at) return headers;
    const colon = block.indexOf(':', at);
    if (colon > at && colon < end) {
      const name = block.slice(at, colon);
      if (headers[name] === undefined) headers[name] = block.slice(colon + 1, end).trim();
    }
    at = end + lineEnd.length;
  }
};

const decodedByClient = ({ headers }: Msg): Record<string, string> =>
  Object.fromEntries([...(headers ?? [])].map(([name, values]) => [name, values[0] ?? '']));
