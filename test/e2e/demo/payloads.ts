import { createHmac, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';

/*
 * Real payloads of GitHub webhooks, collected by the community: `@octokit/webhooks-examples`, whose main file is a list of events with
 * their examples. Each becomes a request exactly as GitHub sends it.
 */
interface Example {
  readonly name: string;
  readonly examples: readonly unknown[];
}
export interface Webhook {
  /** `x-github-event` */
  readonly event: string;
  /** `x-github-delivery`: a fresh one for each run, as GitHub gives each delivery its own. */
  readonly id: string;
  readonly body: string;
}

export const loadWebhooks = (): Webhook[] => {
  const events = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly Example[];
  return events.flatMap(({ name, examples }) => examples.map((example) => webhook(name, JSON.stringify(example))));
};

export const webhook = (event: string, body: string): Webhook => ({ event, id: randomUUID(), body });

export const signatureOf = (body: string, secret: string): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

export const headersOf = (hook: Webhook, signature: string | undefined): Record<string, string> => ({
  'content-type': 'application/json',
  'user-agent': 'GitHub-Hookshot/demo',
  'x-github-event': hook.event,
  'x-github-delivery': hook.id,
  ...(signature === undefined ? {} : { 'x-hub-signature-256': signature }),
});
