import { isUtf8 } from 'node:buffer';
import { Body, type Message } from '../message.ts';

/** A message as a value of the state bucket, without its variables; the body as it is, byte for byte. */
export interface StoredMessage {
  readonly attrs: Message['attrs'];
  readonly headers: Message['headers'];
  readonly text?: string;
  readonly base64?: string;
}
export const storedMessage = ({ attrs, headers, body }: Message): StoredMessage => {
  const bytes = Buffer.from(body.bytes());
  return { attrs, headers, ...(isUtf8(bytes) ? { text: bytes.toString() } : { base64: bytes.toString('base64') }) };
};
export const restoredMessage = ({ attrs, headers, text, base64 = '' }: StoredMessage): Message => ({
  attrs,
  headers,
  body: Body.fromBytes(text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text)),
});
