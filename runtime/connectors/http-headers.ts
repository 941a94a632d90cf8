import { pattern, textMap } from '../schema.ts';

/** An HTTP field name (RFC 9110 token). */
export const headerName = (description: string) => pattern(description, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 128);

/*
 * Headers that belong to the connection, to the body's framing or to whoever authenticates, not to the message. `nats-*` steers the
 * server of the inbox.
 */
const ownedByProtocol = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const credentialHeaders = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie']);
const steersBroker = (name: string) => name.startsWith('nats-');

export const mayKeep = (name: string): boolean => {
  const lower = name.toLowerCase();
  return !ownedByProtocol.has(lower) && !credentialHeaders.has(lower) && !steersBroker(lower);
};

/** A request header that a message may keep. */
export const keptHeader = (description: string) =>
  headerName(description).refine(mayKeep, {
    message: 'cannot be kept: credentials and headers of the protocol or of NATS stay outside the message',
  });

const fixedText = 'is set by Kanava: remove it (credentials belong into the Connection, under `auth`)';
const mayFix = (name: string): boolean => mayKeep(name) && !name.toLowerCase().startsWith('ce-');

/** Headers with fixed values that requests carry. */
export const fixedHeaders = (description: string) =>
  textMap(description, 32, 2048).check((context) => {
    for (const [name, value] of Object.entries(context.value)) {
      const issue = !headerName('').safeParse(name).success
        ? 'is no header name'
        : !mayFix(name)
          ? fixedText
          : /^[\t\x20-\x7e]*$/.test(value)
            ? undefined
            : 'has a value with characters outside printable ASCII';
      if (issue) context.issues.push({ code: 'custom', message: `${name} ${issue}`, input: value, path: [name] });
    }
  });
