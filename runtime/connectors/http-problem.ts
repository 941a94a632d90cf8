import { STATUS_CODES } from 'node:http';
import type { HttpResponse } from '../connector.ts';

/** A refusal as RFC 9457 problem details: `code` is stable, `detail` says what to do. */
export const problem = (
  status: number,
  code: string,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, code, detail }),
});
