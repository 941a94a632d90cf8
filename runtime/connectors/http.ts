import { z } from 'zod';
import { type Connector, defineConnection, defineGatewaySource, defineSink } from '../connector.ts';
import {
  caRef,
  choiceOf,
  connectionRef,
  duration,
  durationPattern,
  flag,
  integer,
  listOf,
  longestCallSeconds,
  milliseconds,
  pattern,
  quantity,
  shape,
  text,
} from '../schema.ts';
import { inboundAuth, outboundAuth } from './http-auth.ts';
import { endpointOf } from './http-client.ts';
import { fixedHeaders, headerName, keptHeader } from './http-headers.ts';
import { receiver } from './http-receive.ts';
import { replyTimeoutMs } from './http-reply.ts';
import { sender } from './http-send.ts';

/*
 * HTTP: requests in through the tenant's gateway, requests out to a Connection's URL. What a request says as a CloudEvent is in
 * http-events.ts, who may send and how we authenticate in http-auth.ts.
 */

/* ---- Connection ---------------------------------------------------------------------------------------------------------- */

const urlText =
  'write an absolute URL such as https://erp.example.com/api, without user, query or fragment (use `auth`)';
const urlForm = /^https?:\/\/[^/?#@\s\\]+(\/[^?#\s\\]*)?$/;

const connectionConfig = shape('An HTTP server.', {
  url: z
    .string()
    .min(1)
    .max(2048)
    .refine((url) => urlForm.test(url) && URL.canParse(url), { message: urlText })
    .meta({
      description: 'Base address, http or https, without credentials.',
      doc: 'The path of a sink is appended to it. Plain http sends messages and credentials unencrypted.',
      'x-kubernetes-validations': [
        { rule: "self.matches('^https?://[^/?#@[:space:]]+(/[^?#[:space:]]*)?$')", message: urlText },
      ],
    }),
  auth: outboundAuth.optional(),
  tls: shape('How the server is verified.', {
    caRef: caRef('CA to trust instead of the public ones.').optional(),
    serverName: pattern('Name in its certificate; default: host.', /^[A-Za-z0-9._-]+$/, 253).optional(),
  }).optional(),
  headers: fixedHeaders('Headers of each request; no credentials.').optional(),
  timeout: duration('Longest wait for an answer.', {
    doc: 'The attempt ends at `delivery.timeout` in any case; this one is for a server that should answer sooner.',
  }).optional(),
});
export type HttpConnection = z.infer<typeof connectionConfig>;

const httpConnection = defineConnection<HttpConnection>({
  config: connectionConfig,
  endpoints: (config) => [endpointOf(new URL(config.url))],
  examples: () => [
    {
      why: 'a server with a token, which lies in a Secret',
      config: {
        url: 'https://erp.example.com/api',
        auth: { bearer: { secretKeyRef: { name: 'erp', key: 'token' } } },
      },
    },
    {
      why: 'a server with a certificate of its own, and a time for its answers',
      config: {
        url: 'https://10.1.2.3:8443',
        tls: { caRef: { kind: 'ConfigMap', name: 'company-ca', key: 'ca.pem' }, serverName: 'erp.internal' },
        timeout: '5s',
      },
    },
  ],
});

/* ---- Source -------------------------------------------------------------------------------------------------------------- */

/** No segment begins with a dot: what clients normalise away can never be a route. */
const pathForm = /^\/([A-Za-z0-9_~-][A-Za-z0-9._~-]*(\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)?$/;

const longestCallText = `write at most ${longestCallSeconds}s: nobody waits longer for an answer`;
const callTimeout = duration('Longest wait; default 30s, at most 60s.', {
  doc: 'A sender may ask for less with Request-Timeout (seconds) or Prefer: wait=<seconds>.',
})
  .refine((value) => (milliseconds(value) ?? 0) <= longestCallSeconds * 1_000, { message: longestCallText })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: `!self.matches('${durationPattern}') || duration(self) <= duration('${longestCallSeconds}s')`,
        message: longestCallText,
      },
    ],
  });

const sourceConfig = shape('Receives messages as HTTP requests.', {
  path: pattern('Path below /<integration> of the gateway.', pathForm, 253),
  methods: listOf(
    'Methods that are accepted; default POST.',
    choiceOf('HTTP method.', ['POST', 'PUT', 'PATCH', 'DELETE', 'GET']),
    1,
    5,
  ).optional(),
  auth: inboundAuth.optional(),
  maxBytes: quantity('Largest body; default 1Mi.', {
    doc: "The tenant's maxPayload less 64Ki bounds it too, so that a dead letter fits, unless the Integration takes large bodies (`inbox.largeBodies`).",
  }).optional(),
  headers: listOf('Request headers that messages keep.', keptHeader('Name of a header.'), 1, 32).optional(),
  idHeader: headerName('Header with the message id, if senders have one.')
    .meta({
      description: 'Header with the message id, if senders have one.',
      doc: 'Such as x-github-delivery. Without it: the id of a CloudEvent, Idempotency-Key, or a random one. Repeats of an id within two minutes are stored once.',
    })
    .optional(),
  reply: shape('Answers with what the flow makes of a request.', {
    timeout: callTimeout.optional(),
    status: integer('Status of an answer; default 200.', 200, 599).optional(),
    statusHeader: headerName('Header of the message with the status.')
      .meta({
        description: 'Header of the message with the status.',
        doc: 'Set it with the step set or map: an integer from 200 to 599. Without the header it is `status`.',
      })
      .optional(),
    headers: listOf(
      'Headers of the message that the answer carries.',
      keptHeader('Name of a header.'),
      1,
      32,
    ).optional(),
  })
    .meta({
      description: 'Answers with what the flow makes of a request.',
      doc: 'Through steps and sinks while the sender waits: nothing is stored, repeated or dead-lettered. Without it a request is answered once its message is stored.',
    })
    .optional(),
  type: text('CloudEvents type when none is sent; http.request.', 253).optional(),
});
export type HttpSource = z.infer<typeof sourceConfig>;

const httpSource = defineGatewaySource<HttpSource>({
  name: 'http',
  summary: 'Receives messages as HTTP requests.',
  placement: 'gateway',
  config: sourceConfig,
  paths: (config) => [config.path],
  replies: (config) => config.reply && replyTimeoutMs(config.reply),
  examples: () => [
    { why: 'whoever reaches the gateway may send', config: { path: '/orders' } },
    {
      why: 'webhooks with a signature, and a header that steps may ask for',
      config: {
        path: '/hook',
        auth: { hmac: { secretKeyRef: { name: 'github', key: 'secret' } } },
        headers: ['x-github-event'],
        idHeader: 'x-github-delivery',
      },
    },
    {
      why: 'a request that is answered with what the flow makes of it',
      config: { path: '/prices', methods: ['POST'], reply: { timeout: '10s', statusHeader: 'x-status' } },
    },
  ],
  open: async (config, context) => ({ routes: [receiver(config, context)] }),
});

/* ---- Sink ---------------------------------------------------------------------------------------------------------------- */

const sinkConfig = shape('Sends messages as HTTP requests.', {
  connectionRef: connectionRef('http'),
  method: choiceOf('HTTP method; default POST.', ['POST', 'PUT', 'PATCH', 'DELETE']).optional(),
  path: pattern("Appended to the Connection's URL.", /^\/[!-"$-~]*$/, 2048, {
    doc: 'May carry a query: /invoices?mode=fast.',
  }).optional(),
  headers: fixedHeaders('Headers of each request; no credentials.').optional(),
  idempotent: flag('Whether repeats do no harm; default: PUT, DELETE.', {
    doc: 'Every request carries the message id as Idempotency-Key. Say true when the server drops repeats of it: `kanava check` then has nothing to warn of. It changes no request.',
  }).optional(),
});
export type HttpSink = z.infer<typeof sinkConfig>;

const httpSink = defineSink<HttpSink>({
  name: 'http',
  summary: 'Sends messages as HTTP requests.',
  config: sinkConfig,
  takesParts: () => true,
  idempotent: ({ method = 'POST', idempotent = method === 'PUT' || method === 'DELETE' }) =>
    idempotent ||
    `a ${method} that is repeated after a crash may take effect twice; set http.idempotent: true if the server drops repeats by their Idempotency-Key, or use PUT`,
  examples: () => [
    {
      why: 'a POST to the URL of the Connection and this path',
      config: { connectionRef: { name: 'erp' }, path: '/invoices' },
    },
    {
      why: 'a server that drops repeats by their Idempotency-Key',
      config: { connectionRef: { name: 'erp' }, path: '/invoices?mode=fast', idempotent: true },
    },
  ],
  open: (config, context) => sender(config, context.connection as HttpConnection, context),
});

export const httpConnector: Connector = {
  name: 'http',
  source: httpSource,
  sink: httpSink,
  connection: httpConnection,
};
