import { isDeepStrictEqual } from 'node:util';
import type { TestCase } from '../../operator/api/test-file.ts';
import type { DeadLetter } from '../../runtime/dead-letters/letter.ts';
import type { Message } from '../../runtime/message.ts';
import { readable } from './console.ts';
import type { Answer } from './given.ts';
import type { Asked } from './mock-server.ts';

/* What came of the given messages beside what should have. */
export interface Result {
  readonly sinks: ReadonlyMap<string, readonly Message[]>;
  readonly calls: ReadonlyMap<string, readonly Asked[]>;
  readonly deadLetters: readonly DeadLetter[];
  /** Of sources that answer. */
  readonly answers: readonly Answer[];
  readonly paused: { readonly part: string; readonly code: string } | undefined;
}
export interface Mismatch {
  /** `sinks.erp`. */
  readonly path: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

export const mismatches = (
  { sinks, calls, deadLetters = [], answers, paused }: TestCase['expect'],
  result: Result,
): Mismatch[] => {
  const pairs: Mismatch[] = [
    ...(sinks ? named('sinks', sinks, result.sinks, shownMessage) : []),
    ...(calls ? named('calls', calls, result.calls, shownCall) : []),
    {
      path: 'deadLetters',
      expected: deadLetters,
      actual: result.deadLetters.map((letter, index) => shownLetter(letter, deadLetters[index])),
    },
    ...(answers
      ? [
          {
            path: 'answers',
            expected: answers,
            actual: result.answers.map((answer, index) => shownAnswer(answer, answers[index])),
          },
        ]
      : []),
    { path: 'paused', expected: paused, actual: result.paused },
  ];
  return pairs.filter(({ expected, actual }) => !isDeepStrictEqual(plain(expected), plain(actual)));
};

/** Without what is undefined, which YAML cannot say. */
const plain = (value: unknown): unknown =>
  value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);

const named = <E, A>(
  path: string,
  expected: Readonly<Record<string, readonly E[]>>,
  actual: ReadonlyMap<string, readonly A[]>,
  shown: (actual: A, expected: E | undefined) => unknown,
): Mismatch[] =>
  [...new Set([...Object.keys(expected), ...actual.keys()])].map((name) => ({
    path: `${path}.${name}`,
    expected: expected[name] ?? [],
    actual: (actual.get(name) ?? []).map((each, index) => shown(each, expected[name]?.[index])),
  }));

type Texts = Readonly<Record<string, unknown>>;
/** Only what is asked for; all of what nobody asked for at all is too much to read. */
const asked = (values: Texts, wanted: Texts | undefined): Texts | undefined =>
  wanted && Object.fromEntries(Object.keys(wanted).map((name) => [name, values[name]]));

interface WantedBody {
  readonly body?: unknown;
  readonly text?: string | undefined;
}
/** An unexpected message is shown with its body. */
const bodyAs = (value: unknown, wanted: WantedBody | undefined): WantedBody => {
  if (wanted?.text !== undefined) return { text: typeof value === 'string' ? value : JSON.stringify(value) };
  return wanted && wanted.body === undefined ? {} : { body: value };
};

const shownMessage = (
  { attrs, headers, body }: Message,
  wanted: (WantedBody & { readonly attrs?: Texts | undefined; readonly headers?: Texts | undefined }) | undefined,
) => ({
  ...bodyAs(readable(body.bytes()), wanted),
  attrs: asked(attrs, wanted?.attrs),
  headers: asked(headers, wanted?.headers),
});

const shownAnswer = (answer: Answer, wanted: NonNullable<TestCase['expect']['answers']>[number] | undefined) => {
  if ('failed' in answer) return { failed: answer.failed.code };
  return answer.message ? shownMessage(answer.message, wanted) : { nothing: true };
};

const shownCall = (
  { method, path, headers, body }: Asked,
  wanted:
    | (WantedBody & {
        readonly method?: string | undefined;
        readonly path?: string | undefined;
        readonly headers?: Texts | undefined;
      })
    | undefined,
) => ({
  method: wanted && wanted.method === undefined ? undefined : method,
  path: wanted && wanted.path === undefined ? undefined : path,
  headers: asked(headers, wanted?.headers),
  ...bodyAs(body, wanted),
});

const shownLetter = (
  { part, code, message, attempts }: DeadLetter,
  wanted: NonNullable<TestCase['expect']['deadLetters']>[number] | undefined,
) => ({
  part,
  code: wanted && wanted.code === undefined ? undefined : code,
  message:
    wanted?.message === undefined && wanted
      ? undefined
      : wanted && message.includes(wanted.message ?? '')
        ? wanted.message
        : message,
  attempts: wanted?.attempts === undefined ? undefined : attempts,
});
