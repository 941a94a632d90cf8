import type { Place } from './yaml.ts';

/** Something that a user has to look at, with its place in a file. */
export interface FileFinding extends Place {
  readonly file: string;
  /** `Integration acme/orders`; empty for what is about the file. */
  readonly object: string;
  /** `spec.sources[0].http.path`; empty for the whole object. */
  readonly path: string;
  readonly message: string;
  /** The API server's word for such a mistake, or the reason again for what only Kanava checks. */
  readonly rule: string;
  /** Reason of the condition that would say so. */
  readonly reason: string;
  readonly severity: 'error' | 'warning';
}

/** Texts of conditions begin with their path. */
export const divided = (text: string): { path: string; message: string } => {
  const found = /^((?:spec|metadata)[^\s:]*): (.*)$/s.exec(text);
  return { path: found?.[1] ?? '', message: found?.[2] ?? text };
};
