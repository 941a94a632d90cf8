import type { NatsConnection } from '@nats-io/transport-node';
import { headerBlock } from './header-block.ts';

/*
 * What one turn of the event loop has to say to the server, as one write: written straight into the buffer that goes out. The client's own
 * `publish` makes four arrays and two objects of each message, and writes whenever a promise is in between.
 */
export interface Wire {
  /** `lines`: header lines. Throws when the connection is closed for good; while it is away, what is written is lost. */
  publish(subject: string, reply: string, payload: Uint8Array | string, lines?: string): void;
  /** Runs `task` at the end of this turn, before it is written. */
  atEnd(task: () => void): void;
  /** Writes now. */
  flush(): void;
}

/** What the client does itself with the frames that it has made, though its interface does not say so. */
interface Framing {
  readonly protocol?: { sendCommand?(frames: Uint8Array): void };
}

const capacity = 64 * 1024;
const lineEnd = Buffer.from('\r\n');

export const createWire = (connection: NatsConnection & Framing): Wire => {
  const { protocol } = connection;
  if (!protocol?.sendCommand)
    throw new Error('this NATS client has no protocol.sendCommand: see runtime/transport/wire.ts');
  const frames = Buffer.allocUnsafeSlow(capacity);
  let length = 0;
  let tasks: (() => void)[] = [];
  let scheduled = false;

  const write = () => {
    if (length === 0) return;
    // A copy, because the client keeps it until the socket has taken it.
    protocol.sendCommand?.(Buffer.from(frames.subarray(0, length)));
    length = 0;
  };
  const flush = () => {
    scheduled = false;
    const due = tasks;
    tasks = [];
    for (const task of due) task();
    write();
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  };
  const append = (bytes: Uint8Array) => {
    frames.set(bytes, length);
    length += bytes.length;
  };
  /** Most of it is ASCII, whose length is known beforehand. */
  const appendText = (text: string, bytes: number) => {
    length += frames.write(text, length, bytes === text.length ? 'latin1' : 'utf8');
  };

  return {
    publish(subject, reply, payload, lines) {
      if (connection.isClosed()) throw new Error('the connection is closed');
      const block = lines === undefined ? '' : headerBlock(lines);
      const blockBytes = Buffer.byteLength(block);
      const payloadBytes = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length;
      const to = reply === '' ? subject : `${subject} ${reply}`;
      const head =
        lines === undefined
          ? `PUB ${to} ${payloadBytes}\r\n`
          : `HPUB ${to} ${blockBytes} ${blockBytes + payloadBytes}\r\n${block}`;
      const headBytes = head.length - block.length + blockBytes;
      const frameBytes = headBytes + payloadBytes + 2;
      // What is written holds whole frames only: the client's own ones (PONG, requests) may go out before the next of ours.
      if (length + frameBytes > capacity) write();
      if (frameBytes > capacity) {
        const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
        protocol.sendCommand?.(Buffer.concat([Buffer.from(head), body, lineEnd]));
        return;
      }
      if (typeof payload === 'string') appendText(`${head}${payload}\r\n`, frameBytes);
      else {
        appendText(head, headBytes);
        append(payload);
        append(lineEnd);
      }
      schedule();
    },
    atEnd(task) {
      tasks.push(task);
      schedule();
    },
    flush,
  };
};
