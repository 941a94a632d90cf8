import { parseConnection, parseIntegration, parseTenant } from '../../../operator/api/parse.ts';

const parsers = { Integration: parseIntegration, Connection: parseConnection, Tenant: parseTenant };

/** What the operator's own parser says of an object of any kind. */
export const parseObject = (object: unknown) => parsers[(object as { kind: keyof typeof parsers }).kind](object);
