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

export const headerBlock = (lines: string): string => version + lineEnd + lines + lineEnd;

/** `publish` of the client asks headers for their bytes and for nothing else. */
export const wireHeaders = (lines: string): MsgHdrs => {
  const block = Buffer.from(headerBlock(lines));
  return { encode: () => block } as unknown as MsgHdrs;
};

/** First value of each header of a message. */
export const headersOf = (message: Msg): Record<string, string> => createHeaderReader()(message, message.data);

export type HeaderReader = (message: Msg, data: Uint8Array) => Record<string, string>;

/**
 * Messages of one stream mostly have the same headers in the same order. So names are compared with those of the last message, and made
 * anew only where they differ; and one look at the bytes that came together serves for all messages in it.
 */
export const createHeaderReader = (): HeaderReader => {
  const names: string[] = [];
  let bytes = Buffer.alloc(0);
  return (message, data) => {
    if (bytes.buffer !== data.buffer) bytes = Buffer.from(data.buffer as ArrayBuffer);
    const block = blockOf(message, data, bytes);
    return block === undefined ? decodedByClient(message) : parsed(block, names);
  };
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
const blockOf = (message: SizedMsg, data: Uint8Array, bytes: Buffer): string | undefined => {
  const { subject, reply } = message;
  if (!message.size) return undefined;
  const length = message.size() - Buffer.byteLength(subject) - Buffer.byteLength(reply ?? '') - data.length;
  const end = data.byteOffset;
  if (length <= 0 || length > end) return length === 0 ? '' : undefined;
  const block = bytes.toString('utf8', end - length, end);
  return block.startsWith(version) && block.endsWith(lineEnd + lineEnd) ? block : undefined;
};

const [colon, blank] = [':'.charCodeAt(0), ' '.charCodeAt(0)];

/** `names` are those of the last block, by their place in it. */
const parsed = (block: string, names: string[]): Record<string, string> => {
  const headers: Record<string, string> = {};
  let at = block.indexOf(lineEnd) + lineEnd.length;
  for (let place = 0; ; place += 1) {
    const end = block.indexOf(lineEnd, at);
    if (end <= at) return headers;
    let name = names[place];
    if (name === undefined || block.charCodeAt(at + name.length) !== colon || !block.startsWith(name, at)) {
      const nameEnd = block.indexOf(':', at);
      name = nameEnd > at && nameEnd < end ? block.slice(at, nameEnd) : undefined;
      if (name !== undefined) names[place] = name;
    }
    if (name !== undefined && headers[name] === undefined) {
      const from = at + name.length + 1;
      // As clients write it: one blank before, none after.
      const plain =
        block.charCodeAt(from) === blank && block.charCodeAt(from + 1) > blank && block.charCodeAt(end - 1) > blank;
      headers[name] = plain ? block.slice(from + 1, end) : block.slice(from, end).trim();
    }
    at = end + lineEnd.length;
  }
};

const decodedByClient = ({ headers }: Msg): Record<string, string> =>
  Object.fromEntries([...(headers ?? [])].map(([name, values]) => [name, values[0] ?? '']));
