import type { GatewayContext, HttpRequest, HttpResponse } from '../connector.ts';
import { InstructionError, reasonOf } from '../errors.ts';
import type { Message } from '../message.ts';
import { milliseconds } from '../schema.ts';
import type { HttpSource } from './http.ts';
import { percentEncoded } from './http-events.ts';
import { problem } from './http-problem.ts';

type Reply = NonNullable<HttpSource['reply']>;
const defaultTimeoutMs = 30_000;
export const replyTimeoutMs = ({ timeout }: Reply): number =>
  (timeout === undefined ? undefined : milliseconds(timeout)) ?? defaultTimeoutMs;

/** The flow's answer to a request, within the shorter of what the source and the sender allow. */
export const reply = async (
  request: HttpRequest,
  message: Message,
  config: Reply,
  context: GatewayContext,
): Promise<HttpResponse> => {
  const asked = askedMs(request.headers);
  if (Number.isNaN(asked)) return problem(400, 'TimeoutInvalid', 'Request-Timeout is a number of seconds above 0');
  try {
    const answer = await context.call(message, { timeoutMs: Math.min(asked, replyTimeoutMs(config)) });
    return answer ? answered(answer, config) : { status: 204 };
  } catch (error) {
    return failed(error, context);
  }
};

/** Milliseconds; infinite when the sender does not say, NaN when it says nonsense. A preference that is none is ignored (RFC 7240). */
const askedMs = (headers: HttpRequest['headers']): number => {
  const timeout = headers['request-timeout'];
  if (timeout !== undefined) {
    const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(timeout) ? Number(timeout) : Number.NaN;
    return seconds > 0 ? seconds * 1_000 : Number.NaN;
  }
  const wait = /(?:^|[,;\s])wait=(\d{1,6})(?:[,;\s]|$)/i.exec(headers['prefer'] ?? '')?.[1];
  return wait === undefined || Number(wait) === 0 ? Number.POSITIVE_INFINITY : Number(wait) * 1_000;
};

const answered = (message: Message, config: Reply): HttpResponse => {
  const status = statusOf(message, config);
  if (status === undefined)
    return problem(
      502,
      'StatusInvalid',
      `the flow set the header ${config.statusHeader} to what is no status of an answer`,
    );
  const { datacontenttype } = message.attrs;
  const headers: Record<string, string> = {};
  for (const name of config.headers ?? []) {
    const value = message.headers[name.toLowerCase()];
    if (value !== undefined) headers[name.toLowerCase()] = isPrintable(value) ? value : percentEncoded(value);
  }
  if (hasNoBody(status)) return { status, headers };
  if (datacontenttype !== undefined) headers['content-type'] = datacontenttype;
  return { status, headers, body: message.body.bytes() };
};
const statusOf = ({ headers }: Message, { status = 200, statusHeader }: Reply): number | undefined => {
  const set = statusHeader === undefined ? undefined : headers[statusHeader.toLowerCase()];
  if (set === undefined) return status;
  return /^[2-5]\d\d$/.test(set) ? Number(set) : undefined;
};
const hasNoBody = (status: number) => status === 204 || status === 205 || status === 304;
const isPrintable = (value: string) => /^[\t\x20-\x7e]*$/.test(value);

const again = { 'retry-after': '2' };
const problems: Readonly<Record<string, (code: string) => HttpResponse>> = {
  NoWorker: (code) => problem(503, code, 'no worker could take the request in time: send it again', again),
  Busy: (code) => problem(503, code, 'the workers have as much to do as they may: send it again later', again),
  Suspended: (code) => problem(503, code, 'the Integration is suspended', { 'retry-after': '60' }),
  CallTimeout: (code) =>
    problem(
      504,
      code,
      'there was no answer in time; the request may have been worked on: repeat it only if that is harmless',
    ),
  MessageTooLarge: (code) => problem(413, code, 'body and attributes are too large: send less'),
  AnswerTooLarge: (code) => problem(502, code, 'the answer is larger than a message may be'),
};

const failed = (error: unknown, context: GatewayContext): HttpResponse => {
  if (!(error instanceof InstructionError)) {
    context.log.error({ source: context.source, error: reasonOf(error) }, 'a request was not answered');
    return problem(500, 'NotAnswered', 'the request may have been worked on');
  }
  const { code, failure, message } = error;
  const known = problems[code];
  if (known) return known(code);
  if (failure === 'permanent') return problem(422, code, message);
  return problem(failure === 'fatal' ? 500 : 502, code, message);
};
