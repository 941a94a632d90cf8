import type { GatewayContext, HttpRequest, HttpResponse, HttpRoute } from '../connector.ts';
import { InstructionError, reasonOf } from '../errors.ts';
import type { Message } from '../message.ts';
import { quantityValue } from '../schema.ts';
import type { HttpSource } from './http.ts';
import { refusal } from './http-auth.ts';
import { type EventDefaults, readEvent } from './http-events.ts';
import { once } from './http-once.ts';
import { problem } from './http-problem.ts';
import { reply, replyTimeoutMs } from './http-reply.ts';

const defaultMaxBytes = 1024 * 1024;

/** The route of one http source: authenticates, reads the event, and answers 202 once the inbox has it, or with the flow's answer. */
export const receiver = (config: HttpSource, context: GatewayContext): HttpRoute => {
  const defaults: EventDefaults = {
    source: context.source,
    type: config.type ?? 'http.request',
    idHeader: config.idHeader?.toLowerCase(),
    headers: (config.headers ?? []).map((name) => name.toLowerCase()),
  };
  return {
    path: config.path,
    methods: config.methods ?? ['POST'],
    maxBytes: (config.maxBytes === undefined ? undefined : quantityValue(config.maxBytes)) ?? defaultMaxBytes,
    handle: async (request) => {
      const refusal = await refused(config, request, context);
      if (refusal) return refusal;
      const read = readEvent(request, defaults);
      if ('refused' in read) return read.refused;
      const { reply: wanted } = config;
      return wanted
        ? await once(request, replyTimeoutMs(wanted), context, () => reply(request, read.message, wanted, context))
        : await store(read.message, context);
    },
  };
};

const refused = async (
  config: HttpSource,
  request: HttpRequest,
  context: GatewayContext,
): Promise<HttpResponse | undefined> => {
  if (!config.auth) return undefined;
  try {
    const reason = refusal(config.auth, request, context.secret);
    return reason && problem(401, 'Unauthorized', reason.detail, { 'www-authenticate': reason.challenge });
  } catch (error) {
    context.log.error({ source: context.source, error: reasonOf(error) }, 'cannot authenticate senders');
    return problem(503, 'SecretUnreadable', 'the secret of this path cannot be read; its owner must mend it', {
      'retry-after': '30',
    });
  }
};

const store = async (message: Message, context: GatewayContext): Promise<HttpResponse> => {
  try {
    const { id, duplicate } = await context.accept(message);
    return {
      status: 202,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(duplicate ? { id, duplicate } : { id }),
    };
  } catch (error) {
    return notAccepted(error, context);
  }
};

const notAccepted = (error: unknown, context: GatewayContext): HttpResponse => {
  const code = error instanceof InstructionError ? error.code : undefined;
  if (code === 'InboxFull') {
    return problem(503, code, 'the inbox is full: send it again later; nothing was stored', { 'retry-after': '5' });
  }
  if (code === 'InboxUnavailable') {
    return problem(503, code, 'the inbox cannot be reached: send it again; it may have been stored', {
      'retry-after': '2',
    });
  }
  if (code === 'KeyMissing') return problem(422, code, reasonOf(error));
  if (code === 'MessageTooLarge') return problem(413, code, 'body and attributes are too large: send less');
  context.log.error({ source: context.source, error: reasonOf(error) }, 'a message was not accepted');
  return problem(500, 'NotAccepted', 'the message was not stored: send it again');
};
