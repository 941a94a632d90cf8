import { ApiError } from '../reconcile/ports.ts';

interface Status {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly field?: string; readonly reason?: string }[] };
}
const asStatus = (text: string): Status => {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
};

/** Decided by who asks for what, before the content is looked at. */
const aboutRequest = new Set([401, 403, 404, 409]);

/**
 * The server's refusal. Messages about the content quote it (a decoding error shows the bytes around), so for Secrets only the names of
 * the fields are kept of them.
 */
export const refusal = (status: number, text: string, request: { method: string; path: string }): ApiError => {
  const { reason = `HTTP${status}`, message = text.slice(0, 300), details } = asStatus(text);
  const fields = [...new Set(details?.causes?.flatMap(({ field }) => field ?? []))].join(', ');
  const said =
    /\/secrets(\/|$)/.test(request.path) && !aboutRequest.has(status)
      ? fields && `fields: ${fields.replaceAll(/\[[^\]]*\]/g, '')}`
      : message;
  return new ApiError(status, reason, `${request.method} ${request.path}: ${status} ${reason}${said && `: ${said}`}`);
};

/** No answer came. */
export const noAnswer = (
  reason: 'Unreachable' | 'Timeout' | 'NotLeader',
  request: { method: string; path: string },
  why: string,
  cause?: unknown,
): ApiError => new ApiError(0, reason, `${request.method} ${request.path}: ${why}`, { cause });
