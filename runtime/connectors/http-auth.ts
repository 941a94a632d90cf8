import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { z } from 'zod';
import { retry } from '../errors.ts';
import { oneOf, type SecretRef, secretKeyRef, shape, text } from '../schema.ts';
import { headerName } from './http-headers.ts';

type ReadSecret = (ref: SecretRef) => string;

const basic = shape('User name and password.', {
  username: text('User name; no colon.', 253).regex(/^[^:]+$/),
  password: secretKeyRef('Password.'),
});

/* ---- In: who may send ---------------------------------------------------------------------------------------------------- */

export const inboundAuth = oneOf(
  'auth',
  'Who may send; absent: everybody who reaches the gateway.',
  {
    bearer: secretKeyRef('Token in `Authorization: Bearer <token>`.'),
    basic,
    hmac: shape(
      'Signature of the body, as GitHub signs webhooks.',
      {
        ...secretKeyRef('').shape,
        header: headerName('Header with it; default x-hub-signature-256.').optional(),
      },
      { doc: 'The header holds `sha256=<hex>`: HMAC-SHA256 of the raw body with the secret.' },
    ),
  },
  { doc: 'Secrets are read for each request, so that a rotated one holds at once.' },
);
export type InboundAuth = z.infer<typeof inboundAuth>;

export interface Refusal {
  /** Value of WWW-Authenticate. */
  readonly challenge: string;
  readonly detail: string;
}

interface Signed {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

/** Undefined when the request may pass. Throws when the secret cannot be read: that is our fault, not the sender's. */
export const refusal = (auth: InboundAuth, request: Signed, readSecret: ReadSecret): Refusal | undefined => {
  const secret = (ref: SecretRef) => notEmpty(readSecret, ref);
  if (auth.bearer) {
    const token = credentials(request, 'bearer');
    if (token !== undefined && same(token, secret(auth.bearer))) return undefined;
    return {
      challenge: token === undefined ? 'Bearer realm="kanava"' : 'Bearer realm="kanava", error="invalid_token"',
      detail: 'send the token of this path as "Authorization: Bearer <token>"',
    };
  }
  if (auth.basic) {
    const given = Buffer.from(credentials(request, 'basic') ?? '', 'base64').toString();
    if (same(given, `${auth.basic.username}:${secret(auth.basic.password)}`)) return undefined;
    return {
      challenge: 'Basic realm="kanava", charset="UTF-8"',
      detail: 'send user name and password of this path with basic authentication',
    };
  }
  const check = signatureCheck(auth, request, readSecret);
  check?.update(request.body);
  return check?.end();
};

export interface SignatureCheck {
  update(piece: Uint8Array): void;
  /** Once. */
  end(): Refusal | undefined;
}
/** Of a body that comes piece by piece; undefined where bodies are not signed. Throws as `refusal` does. */
export const signatureCheck = (
  auth: InboundAuth,
  { headers }: Pick<Signed, 'headers'>,
  readSecret: ReadSecret,
): SignatureCheck | undefined => {
  if (!auth.hmac) return undefined;
  const header = auth.hmac.header ?? 'x-hub-signature-256';
  const hmac = createHmac('sha256', notEmpty(readSecret, auth.hmac));
  return {
    update: (piece) => void hmac.update(piece),
    end() {
      const given = headers[header.toLowerCase()];
      if (given !== undefined && same(given, `sha256=${hmac.digest('hex')}`)) return undefined;
      return {
        challenge: `HMAC-SHA256 header="${header}"`,
        detail: `${given === undefined ? `the header ${header} is missing` : `the signature in ${header} does not match the body`}: sign the raw body with HMAC-SHA256 and send "sha256=<hex>"`,
      };
    },
  };
};

/** An empty secret would let an empty token or an unkeyed signature in. */
const notEmpty = (readSecret: ReadSecret, ref: SecretRef): string => {
  const value = readSecret(ref);
  if (value === '') throw new Error(`key ${ref.secretKeyRef.key} of Secret ${ref.secretKeyRef.name} is empty`);
  return value;
};

const credentials = (request: Signed, scheme: string): string | undefined => {
  const header = request.headers['authorization'];
  const space = header?.indexOf(' ') ?? -1;
  if (header === undefined || space < 0 || header.slice(0, space).toLowerCase() !== scheme) return undefined;
  return header.slice(space + 1).trim();
};

/** Constant time: digests have one length whatever was sent. */
const same = (given: string, expected: string): boolean => timingSafeEqual(digest(given), digest(expected));
const digest = (value: string): Buffer => createHash('sha256').update(value).digest();

/* ---- Out: how we present ourselves ---------------------------------------------------------------------------------------- */

export const outboundAuth = oneOf('auth', 'How requests authenticate; absent: not at all.', {
  bearer: secretKeyRef('Token for `Authorization: Bearer <token>`.'),
  basic,
  header: shape('A header that carries the secret, such as an API key.', {
    name: headerName('Name of the header.'),
    ...secretKeyRef('').shape,
  }),
});
export type OutboundAuth = z.infer<typeof outboundAuth>;

export interface AuthHeader {
  readonly name: string;
  readonly value: string;
  /** Values that must not show up in an error. */
  readonly hidden: readonly string[];
}

/** The header to send, read now. Throws `retry` (fatal) when the secret cannot be read or cannot stand in a header. */
export const authHeader = (auth: OutboundAuth | undefined, readSecret: ReadSecret): AuthHeader | undefined => {
  if (!auth) return undefined;
  const secret = (ref: SecretRef): string => {
    const where = `key ${ref.secretKeyRef.key} of Secret ${ref.secretKeyRef.name}`;
    let value: string;
    try {
      value = readSecret(ref);
    } catch (cause) {
      throw retry('SecretUnreadable', `${where} cannot be read: create it`, { cause, failure: 'fatal' });
    }
    if (/^[\x20-\x7e]+$/.test(value) || (auth.basic && value !== '')) return value;
    throw retry('SecretInvalid', `${where} is empty or holds characters (a line break?) that no header may carry`, {
      failure: 'fatal',
    });
  };
  if (auth.bearer) {
    const token = secret(auth.bearer);
    return { name: 'authorization', value: `Bearer ${token}`, hidden: [token] };
  }
  if (auth.basic) {
    const password = secret(auth.basic.password);
    const encoded = Buffer.from(`${auth.basic.username}:${password}`).toString('base64');
    return { name: 'authorization', value: `Basic ${encoded}`, hidden: [password, encoded] };
  }
  if (auth.header) {
    const value = secret(auth.header);
    return { name: auth.header.name.toLowerCase(), value, hidden: [value] };
  }
  return undefined;
};
