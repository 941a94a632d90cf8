import type { Msg, MsgHdrs } from '@nats-io/transport-node';
import { headerLines, wireHeaders } from './header-block.ts';
import { type Entry, type Stored, type TransportCode, TransportError } from './transport.ts';

/** The server's answer to a publish into a stream, in our words. */
export interface PubAck {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

export const parsePubAck = ({ data }: Msg): PubAck =>
  JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString()) as PubAck;

export const readPubAck = (message: Msg, subject: string): Stored => {
  const ack = parsePubAck(message);
  if (ack.error) throw refusal(subject, ack.error);
  return { sequence: ack.seq ?? 0, duplicate: ack.duplicate === true };
};

/** Error numbers of nats-server (server/errors.json). */
const codes: ReadonlyMap<number, TransportCode> = new Map([
  [10002, 'StreamFull'], // account resources
  [10023, 'StreamFull'], // server resources
  [10028, 'StreamFull'], // memory of the account
  [10047, 'StreamFull'], // storage of the account
  [10077, 'StreamFull'], // the store refused: its limits
  [10122, 'StreamFull'], // too many bytes asked for
  [10054, 'TooLarge'],
  [10039, 'NoStream'], // JetStream not enabled for the account
  [10059, 'NoStream'],
  [10076, 'Unavailable'],
  [10060, 'Conflict'],
  [10070, 'Conflict'],
  [10071, 'Conflict'],
  [10164, 'Conflict'],
]);

const refusal = (subject: string, { code, err_code: number = 0, description = '' }: NonNullable<PubAck['error']>) =>
  new TransportError(
    codes.get(number) ?? (code >= 500 ? 'Unavailable' : 'Denied'),
    `"${subject}" was refused: ${description} (${number})`,
  );

/** `Nats-Msg-Id` makes repeats of the same publish harmless within the stream's duplicate window. */
export const entryLines = ({ id, headers }: Pick<Entry, 'id' | 'headers'>): string =>
  headerLines('Nats-Msg-Id' in headers ? withoutId(headers) : headers) + headerLines({ 'Nats-Msg-Id': id });

export const entryHeaders = (entry: Pick<Entry, 'id' | 'headers'>): MsgHdrs => wireHeaders(entryLines(entry));

const withoutId = ({ 'Nats-Msg-Id': _old, ...others }: Entry['headers']) => others;
