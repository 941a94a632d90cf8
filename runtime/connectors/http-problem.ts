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
  body: JSON.stringify({ type: 'about:blank', title: statusText(status), status, code, detail }),
});

/** An import of node:http, which workers would pay for too, evaluates its getters: 15 MiB for a table. */
export const statusText = (status: number): string =>
  process.getBuiltinModule('node:http').STATUS_CODES[status] ?? 'Error';
