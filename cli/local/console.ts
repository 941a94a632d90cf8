import { styleText } from 'node:util';
import type { Log } from '../../runtime/connector.ts';
import { bodyElsewhere, type DeadLetter } from '../../runtime/dead-letters/letter.ts';
import type { Message } from '../../runtime/message.ts';
import type { FileFinding } from '../finding.ts';
import { lineOf } from '../finding-line.ts';

/*
 * What somebody at a terminal sees: notes on stderr, messages as JSON lines on stdout.
 */
export interface Console {
  note(integration: string, text: string): void;
  problem(integration: string, text: string): void;
  findings(findings: readonly FileFinding[]): void;
  message(integration: string, sink: string, message: Message): void;
  deadLetter(integration: string, letter: DeadLetter): void;
  log(integration: string): Log;
}
export interface Output {
  write(text: string): unknown;
}

export const createConsole = (data: Output, notes: Output, now: () => Date = () => new Date()): Console => {
  const line = (integration: string, text: string) => {
    const time = now().toTimeString().slice(0, 8);
    notes.write(
      `${styleText('dim', time)} ${integration === '' ? '' : `${styleText('bold', integration)}: `}${text}\n`,
    );
  };
  const problem = (integration: string, text: string) => line(integration, styleText('red', text));
  const logged = (integration: string, paint: (text: string) => string) => (fields: object, text: string) => {
    const { stream: _stream, sequence: _sequence, ...shown } = fields as Record<string, unknown>;
    const details = Object.entries(shown).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    line(integration, paint([text, ...details].join(' ')));
  };
  return {
    note: line,
    problem,
    findings: (findings) => void notes.write(findings.map((finding) => `${lineOf(finding)}\n`).join('')),
    message(integration, sink, { attrs, headers, body }) {
      const shown = body.large ? `(${body.large.bytes} bytes, a large body)` : readable(body.bytes());
      data.write(`${JSON.stringify({ integration, sink, attrs, headers, body: shown })}\n`);
    },
    deadLetter(integration, letter) {
      const { part, code, message, attempts, body } = letter;
      const elsewhere = bodyElsewhere(letter);
      const text = elsewhere ? `of ${elsewhere.bytes} bytes` : JSON.stringify(readable(body));
      const tried = attempts > 1 ? ` after ${attempts} attempts` : '';
      problem(integration, `dead letter of ${part}${tried}: ${code}: ${message}; body: ${shortened(text)}`);
    },
    log: (integration) => ({
      debug: logged(integration, (text) => styleText('dim', text)),
      info: logged(integration, (text) => text),
      warn: logged(integration, (text) => styleText('yellow', text)),
      error: logged(integration, (text) => styleText('red', text)),
    }),
  };
};

const mostShown = 300;
const shortened = (text: string): string => (text.length > mostShown ? `${text.slice(0, mostShown)}...` : text);

const decoder = new TextDecoder('utf-8', { fatal: true });
/** A body as people read it: its JSON, its text, or its size. */
export const readable = (bytes: Uint8Array): unknown => {
  const text = textOf(bytes);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
};
/** Its text, or its size. */
export const textOf = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes);
  } catch {
    return `(${bytes.length} bytes that are no text)`;
  }
};
