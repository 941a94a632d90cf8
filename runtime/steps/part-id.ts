import { hash } from 'node:crypto';
import type { Attempt } from '../connector.ts';
import type { Message } from '../message.ts';

/** What a step that keeps messages knows one by: the same whenever it comes again, another for the same event accepted twice. */
export const partId = ({ attrs }: Message, { origin }: Attempt): string =>
  hash('sha256', `${origin}\n${attrs.id}`, 'base64url').slice(0, 16);
