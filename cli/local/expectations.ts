import { isDeepStrictEqual } from 'node:util';
import type { Expectation } from '../../operator/api/test-file.ts';
import type { DeadLetter } from '../../runtime/dead-letters/letter.ts';
import type { Message } from '../../runtime/message.ts';
import { readable, textOf } from './console.ts';
import type { Answer } from './given.ts';
import type { Asked } from './mock-server.ts';
import type { Answered } from './request.ts';
import type { FoundFile } from './test-volumes.ts';

/* What came of the given messages beside what should have. */
export interface Result {
  /** By name of Integration: the one that is tested comes first. */
  readonly own: ReadonlyMap<string, OwnResult>;
  /** Out of the step or flow, when only that is tested. */
  readonly becomes: readonly Message[];
  readonly calls: ReadonlyMap<string, readonly Asked[]>;
  readonly files: ReadonlyMap<string, readonly FoundFile[]>;
  /** Of sources that answer. */
  readonly answers: readonly Answer[];
  readonly responses: readonly Answered[];
  readonly events: readonly Message[];
}
/** Of one Integration. */
export interface OwnResult {
  readonly sinks: ReadonlyMap<string, readonly Message[]>;
  readonly deadLetters: readonly DeadLetter[];
  readonly paused: { readonly part: string; readonly code: string } | undefined;
}
export interface Mismatch {
  /** `sinks.erp`. */
  readonly path: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

export const mismatches = (expected: Expectation, result: Result): Mismatch[] => {
  const { calls, files, becomes, answers, responses, events, with: beside = {} } = expected;
  const [tested, ...others] = [...result.own];
  const pairs: Mismatch[] = [
    ...(tested ? ownMismatches('', expected, tested[1]) : []),
    ...others.flatMap(([name, each]) => ownMismatches(`with.${name}.`, beside[name] ?? {}, each)),
    ...(becomes ? [inOrder('becomes', becomes, result.becomes, shownMade)] : []),
    ...(calls ? named('calls', calls, result.calls, shownCall) : []),
    ...(files ? named('files', files, result.files, shownFile) : []),
    ...(answers ? [inOrder('answers', answers, result.answers, shownAnswer)] : []),
    responses
      ? inOrder('responses', responses, result.responses, shownResponse)
      : inOrder('responses', result.responses.map(successful), result.responses, shownResponse),
    ...(events ? [inOrder('events', events, result.events, shownMessage)] : []),
  ];
  return pairs.filter(({ expected, actual }) => !isDeepStrictEqual(plain(expected), plain(actual)));
};

const ownMismatches = (
  prefix: string,
  { sinks, deadLetters = [], paused }: Pick<Expectation, 'sinks' | 'deadLetters' | 'paused'>,
  result: OwnResult,
): Mismatch[] => [
  ...(sinks ? named(`${prefix}sinks`, sinks, result.sinks, shownMessage) : []),
  inOrder(`${prefix}deadLetters`, deadLetters, result.deadLetters, shownLetter),
  { path: `${prefix}paused`, expected: paused, actual: result.paused },
];

const inOrder = <E, A>(
  path: string,
  expected: readonly E[],
  actual: readonly A[],
  shown: (actual: A, expected: E | undefined) => unknown,
): Mismatch => ({ path, expected, actual: actual.map((each, index) => shown(each, expected[index])) });

/** Where nothing is said of responses, a refusal is shown as one that should have been none. */
const successful = ({ status }: Answered) =>
  status >= 200 && status < 300 ? { status } : { status: 202, headers: {}, body: 'any' };

/** Without what is undefined, which YAML cannot say. */
const plain = (value: unknown): unknown =>
  value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);

const named = <E, A>(
  path: string,
  expected: Readonly<Record<string, readonly E[]>>,
  actual: ReadonlyMap<string, readonly A[]>,
  shown: (actual: A, expected: E | undefined) => unknown,
): Mismatch[] =>
  [...new Set([...Object.keys(expected), ...actual.keys()])].map((name) =>
    inOrder(`${path}.${name}`, expected[name] ?? [], actual.get(name) ?? [], shown),
  );

type Texts = Readonly<Record<string, unknown>>;
/** Only what is asked for; all of what nobody asked for at all is too much to read. */
const asked = (values: Texts, wanted: Texts | undefined): Texts | undefined =>
  wanted && Object.fromEntries(Object.keys(wanted).map((name) => [name, values[name]]));

interface WantedBody {
  readonly body?: unknown;
  readonly text?: string | undefined;
}
/** An unexpected message is shown with its body. */
const bodyAs = (bytes: Uint8Array, wanted: WantedBody | undefined): WantedBody => {
  if (wanted?.text !== undefined) return { text: textOf(bytes) };
  return wanted && wanted.body === undefined ? {} : { body: readable(bytes) };
};

const shownMessage = (
  { attrs, headers, body }: Message,
  wanted: (WantedBody & { readonly attrs?: Texts | undefined; readonly headers?: Texts | undefined }) | undefined,
) => ({
  ...bodyAs(body.bytes(), wanted),
  attrs: asked(attrs, wanted?.attrs),
  headers: asked(headers, wanted?.headers),
});

const shownMade = (message: Message, wanted: NonNullable<Expectation['becomes']>[number] | undefined) => ({
  ...shownMessage(message, wanted),
  vars: wanted ? asked(message.vars ?? {}, wanted.vars) : message.vars,
});

const shownFile = ({ name, body }: FoundFile, wanted: WantedBody | undefined) => ({ name, ...bodyAs(body, wanted) });

const shownResponse = (
  { status, headers, body }: Answered,
  wanted: (WantedBody & { readonly status?: number | undefined; readonly headers?: Texts | undefined }) | undefined,
) => ({
  status: wanted && wanted.status === undefined ? undefined : status,
  headers: asked(headers, wanted?.headers),
  ...bodyAs(body, wanted),
});

const shownAnswer = (answer: Answer, wanted: NonNullable<Expectation['answers']>[number] | undefined) => {
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
  wanted: NonNullable<Expectation['deadLetters']>[number] | undefined,
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
