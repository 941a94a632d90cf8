import { connect, type Socket } from 'node:net';
import { type OrderEvent, transformed } from './events.ts';

/*
 * Yardstick: what plain JavaScript can do. The hop on a socket and nothing else: no client library, no reconnect, no options; one
 * write for each turn of the event loop, no promise and no timer for a message.
 */
const setting = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} must be set; run it by "npm run bench -- hop"`);
  return value;
};
const [count, window, port] = ['N', 'W', 'PORT'].map((name) => Number(setting(name))) as [number, number, number];
const target = `out.${setting('DST')}`;
const pullSubject = `$JS.API.CONSUMER.MSG.NEXT.SRC.${setting('CONS')}`;

const slots = 65_536;
const capacity = 1 << 17;
const [newline, capitalH, capitalM, capitalP, minus, letterI] = [10, 72, 77, 80, 45, 73];

/** Collects what one turn writes. */
const createWriter = (socket: Socket) => {
  let buffer = Buffer.allocUnsafe(capacity);
  let at = 0;
  let scheduled = false;
  const flush = () => {
    scheduled = false;
    if (at === 0) return;
    socket.write(buffer.subarray(0, at));
    buffer = Buffer.allocUnsafe(capacity);
    at = 0;
  };
  const reserve = (bytes: number) => {
    if (at + bytes > capacity) flush();
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(flush);
  };
  return {
    line(text: string) {
      reserve(text.length);
      at += buffer.write(text, at, 'latin1');
    },
    publish(subject: string, reply: string, id: string, body: string) {
      const headers = `NATS/1.0\r\nNats-Msg-Id: ${id}\r\n\r\n`;
      const length = Buffer.byteLength(body);
      const head = `HPUB ${subject} ${reply} ${headers.length} ${headers.length + length}\r\n${headers}`;
      reserve(head.length + length + 2);
      at += buffer.write(head, at, 'latin1');
      at += buffer.write(body, at, 'utf8');
      at += buffer.write('\r\n', at, 'latin1');
    },
  };
};

interface Frame {
  readonly subscription: string;
  readonly subject: string;
  readonly reply: string;
  readonly headers: number;
  readonly from: number;
  readonly to: number;
}
/** `MSG subject sid [reply] bytes` or `HMSG subject sid [reply] headers bytes`, if all of it is here. */
const frameAt = (chunk: Buffer, at: number, end: number): Frame | undefined => {
  const lineEnd = chunk.indexOf(newline, at);
  if (lineEnd < 0 || lineEnd >= end) return undefined;
  const words = chunk.toString('latin1', at, lineEnd - 1).split(' ');
  const withHeaders = chunk[at] === capitalH;
  const last = words.length - 1;
  const to = lineEnd + 1 + Number(words[last]);
  if (to + 2 > end) return undefined;
  return {
    subject: words[1] ?? '',
    subscription: words[2] ?? '',
    reply: words.length === (withHeaders ? 6 : 5) ? (words[3] ?? '') : '',
    headers: withHeaders ? Number(words[last - 1]) : 0,
    from: lineEnd + 1,
    to,
  };
};

const acks: string[] = Array.from({ length: slots }, () => '');
let received = 0;
let asked = 0;
let done = 0;
let rest: Buffer | undefined;

const read = (chunk: Buffer) => {
  const input = rest ? Buffer.concat([rest, chunk]) : chunk;
  let at = 0;
  while (at < input.length) {
    const first = input[at];
    if (first === capitalM || first === capitalH) {
      const frame = frameAt(input, at, input.length);
      if (!frame) break;
      arrived(input, frame);
      at = frame.to + 2;
      continue;
    }
    const lineEnd = input.indexOf(newline, at);
    if (lineEnd < 0) break;
    if (first === minus) throw new Error(input.toString('latin1', at, lineEnd));
    if (first === capitalP && input[at + 1] === letterI) writer.line('PONG\r\n');
    at = lineEnd + 1;
  }
  rest = at < input.length ? Buffer.from(input.subarray(at)) : undefined;
};

const pull = (batch: number) => {
  asked += batch;
  const body = `{"batch":${batch},"expires":30000000000}`;
  writer.line(`PUB ${pullSubject} raw.in ${body.length}\r\n${body}\r\n`);
};

const arrived = (input: Buffer, { subscription, subject, reply, headers, from, to }: Frame) => {
  if (subscription === '2') return stored(input, Number(subject.slice('raw.ack.'.length)), from, to);
  if (reply === '') return;
  const slot = received % slots;
  received += 1;
  acks[slot] = reply;
  const event = JSON.parse(input.toString('utf8', from + headers, to)) as OrderEvent;
  writer.publish(target, `raw.ack.${slot}`, `SRC:${reply.split('.')[5]}`, JSON.stringify(transformed(event)));
  if (asked - received <= window / 2) pull(window - (asked - received));
};

const stored = (input: Buffer, slot: number, from: number, to: number) => {
  const ack = input.toString('latin1', from, to);
  if (!ack.startsWith('{"stream"')) throw new Error(`not stored: ${ack}`);
  writer.line(`PUB ${acks[slot]} 4\r\n+ACK\r\n`);
  done += 1;
  if (done === count) queueMicrotask(() => socket.end());
};

const socket = connect({
  port,
  host: '127.0.0.1',
  noDelay: true,
  onread: {
    buffer: Buffer.allocUnsafe(1 << 18),
    callback: (length, buffer) => {
      read(Buffer.from(buffer.buffer, buffer.byteOffset, length));
      return true;
    },
  },
});
const writer = createWriter(socket);
writer.line('CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"raw"}\r\n');
writer.line('SUB raw.in 1\r\nSUB raw.ack.* 2\r\n');
pull(window);
