import type { GatewayContext, HttpResponse, HttpRoute, LargeHttpRequest } from '../connector.ts';
import { InstructionError, reasonOf, reject } from '../errors.ts';
import { Body, type Message } from '../message.ts';
import { quantityValue } from '../schema.ts';
import type { HttpSource } from './http.ts';
import { type Refusal, refusal, type SignatureCheck, signatureCheck } from './http-auth.ts';
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
  const most = (config.maxBytes === undefined ? undefined : quantityValue(config.maxBytes)) ?? defaultMaxBytes;
  const { largeBodies } = context;
  return {
    path: config.path,
    methods: config.methods ?? ['POST'],
    maxBytes: Math.min(most, largeBodies?.above ?? most),
    handle: async (request) => {
      const refused = await checked(context, () => config.auth && refusal(config.auth, request, context.secret));
      if (refused) return refused;
      const read = readEvent(request, defaults);
      if ('refused' in read) return read.refused;
      const { reply: wanted } = config;
      return wanted
        ? await once(request, replyTimeoutMs(wanted), context, () => reply(request, read.message, wanted, context))
        : await store(read.message, context);
    },
    // What is answered by the flow goes as one message to a worker and back.
    ...(largeBodies && !config.reply
      ? {
          large: {
            maxBytes: Math.min(most, largeBodies.largest),
            handle: (request: LargeHttpRequest) => receiveLarge(config, request, defaults, context),
          },
        }
      : {}),
  };
};

/** The same for a body that is stored as it comes. Whether a signature is right is known at its end, before the message counts. */
const receiveLarge = async (
  { auth }: HttpSource,
  request: LargeHttpRequest,
  defaults: EventDefaults,
  context: GatewayContext,
): Promise<HttpResponse> => {
  const { headers } = request;
  let check: SignatureCheck | undefined;
  const refused = await checked(context, () => {
    check = auth && signatureCheck(auth, request, context.secret);
    return auth && !check ? refusal(auth, { headers, body: new Uint8Array() }, context.secret) : undefined;
  });
  if (refused) return refused;
  const read = readEvent(request, defaults);
  if ('refused' in read) return read.refused;
  if (!check) return store(read.message, context);
  let wrong: Refusal | undefined;
  const pieces = verified(request.body, check, (refusal) => {
    wrong = refusal;
  });
  const answer = await store({ ...read.message, body: Body.inPieces({ read: () => pieces }) }, context);
  return wrong ? unauthorized(wrong) : answer;
};

async function* verified(
  body: AsyncIterable<Uint8Array>,
  { update, end }: SignatureCheck,
  refuse: (refusal: Refusal) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    update(piece);
    yield piece;
  }
  const wrong = end();
  if (!wrong) return;
  refuse(wrong);
  throw reject('Unauthorized', wrong.detail);
}

const checked = async (
  context: GatewayContext,
  refused: () => Refusal | undefined,
): Promise<HttpResponse | undefined> => {
  try {
    const reason = refused();
    return reason && unauthorized(reason);
  } catch (error) {
    context.log.error({ source: context.source, error: reasonOf(error) }, 'cannot authenticate senders');
    return problem(503, 'SecretUnreadable', 'the secret of this path cannot be read; its owner must mend it', {
      'retry-after': '30',
    });
  }
};
const unauthorized = ({ detail, challenge }: Refusal): HttpResponse =>
  problem(401, 'Unauthorized', detail, { 'www-authenticate': challenge });

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
  if (code === 'BodyTooSlow') return problem(408, code, 'the body took too long to come; nothing was stored');
  if (code === 'Unauthorized') return problem(401, code, reasonOf(error));
  // There is nobody to be answered.
  if (code === 'SenderGone') throw error;
  context.log.error({ source: context.source, error: reasonOf(error) }, 'a message was not accepted');
  return problem(500, 'NotAccepted', 'the message was not stored: send it again');
};
