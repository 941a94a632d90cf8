import type { JsonValue } from '../../runtime/message.ts';

/** Bodies that senders think of. */
export const senderBodies: readonly (readonly [why: string, body: JsonValue | Uint8Array])[] = [
  ['no JSON', Buffer.from('{"a":')],
  ['no text', Uint8Array.from([255, 254, 0])],
  ['nothing', new Uint8Array()],
  ['null', null],
  ['a number', 7],
  ['a text', 'text'],
  ['an empty list', []],
  ['an empty object', {}],
  ['keys of prototypes', Buffer.from('{"__proto__":{"a":1},"constructor":1}')],
];
