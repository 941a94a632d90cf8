import { bodyElsewhere, type DeadLetter, messageIn } from '../runtime/dead-letters/letter.ts';

/** What programs get: no body, since lists may be long. */
export const summaryOf = (letter: DeadLetter) => {
  const { headers: _headers, body, ...rest } = letter;
  const attrs = messageIn(letter)?.attrs;
  const elsewhere = bodyElsewhere(letter);
  return { ...rest, bytes: elsewhere?.bytes ?? body.length, ...(attrs === undefined ? {} : { attrs }) };
};

/** The body as a value where it is JSON, as text where it is text, else in base64. */
export const wholeOf = (letter: DeadLetter) => ({
  ...summaryOf(letter),
  headers: messageIn(letter)?.headers ?? letter.headers,
  ...(bodyElsewhere(letter) ? { largeBody: bodyElsewhere(letter) } : bodyOf(letter.body)),
});
const bodyOf = (bytes: Uint8Array): { body: unknown } | { bodyBase64: string } => {
  const text = textOf(bytes);
  if (text === undefined) return { bodyBase64: Buffer.from(bytes).toString('base64') };
  try {
    return { body: JSON.parse(text) as unknown };
  } catch {
    return { body: text };
  }
};
const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

export const header = ['ID', 'FAILED-AT', 'PART', 'CODE', 'ATTEMPTS', 'REPLAYS', 'MESSAGE', 'REASON'];
export const cells = (letter: DeadLetter): string[] => [
  String(letter.id),
  letter.lastAt.replace(/\.\d+Z$/, 'Z'),
  letter.key ?? letter.part,
  letter.code,
  String(letter.attempts),
  String(letter.replays),
  messageIn(letter)?.attrs.id ?? '-',
  shortened(letter.message, 80),
];
const shortened = (text: string, most: number): string => {
  // What a foreign server said goes to a terminal: one line, no control characters.
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length <= most ? line : `${line.slice(0, most - 3)}...`;
};
