import { createHash } from 'node:crypto';
import type { GatewayContext, HttpRequest, HttpResponse } from '../connector.ts';
import { reasonOf } from '../errors.ts';
import { problem } from './http-problem.ts';

/*
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) where requests are answered: the first request of a key runs, a repeat gets
 * its answer. What failed on our side is not kept, so that a repeat is another try.
 */
const longestKey = 255;

export const once = async (
  request: HttpRequest,
  forMs: number,
  context: GatewayContext,
  run: () => Promise<HttpResponse>,
): Promise<HttpResponse> => {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return run();
  if (key === '' || key.length > longestKey)
    return problem(400, 'KeyInvalid', `Idempotency-Key has 1 to ${longestKey} characters`);
  let turn: Awaited<ReturnType<GatewayContext['once']>>;
  try {
    turn = await context.once({ key: `${context.source}\n${key}`, print: printOf(request), forMs });
  } catch (error) {
    context.log.warn({ source: context.source, error: reasonOf(error) }, 'a request with a key was not taken');
    return problem(503, 'AnswersUnavailable', 'earlier answers cannot be looked up: send it again; nothing was done', {
      'retry-after': '2',
    });
  }
  switch (turn.kind) {
    case 'running':
      return problem(409, 'RequestRunning', 'a request with this Idempotency-Key is in work: send it again later', {
        'retry-after': '1',
      });
    case 'other':
      return problem(422, 'KeyReused', 'this Idempotency-Key came with another request: use a new key');
    case 'kept':
      return replayed(Buffer.from(turn.answer));
    case 'first': {
      const answer = await run();
      if (answer.status < 500) await turn.keep(recordOf(answer));
      else await turn.release();
      return answer;
    }
  }
};

/** What makes two requests the same: everything that the flow may see of them but headers, which proxies and clients change. */
const printOf = ({ method, path, headers, body }: HttpRequest): string =>
  createHash('sha256')
    .update(JSON.stringify([method, path, headers['content-type'] ?? '']))
    .update(body)
    .digest('base64');

const recordOf = ({ status, headers = {}, body = '' }: HttpResponse): Buffer =>
  Buffer.concat([Buffer.from(`${JSON.stringify({ status, headers })}\n`), Buffer.from(body as string)]);

const replayed = (record: Buffer): HttpResponse => {
  const end = record.indexOf('\n');
  const { status, headers } = JSON.parse(record.toString('utf8', 0, end)) as Required<Omit<HttpResponse, 'body'>>;
  const body = record.subarray(end + 1);
  return {
    status,
    headers: { ...headers, 'idempotency-replayed': 'true' },
    ...(body.length > 0 ? { body } : {}),
  };
};
