import { Agent, request } from 'undici';
import { headersOf, signatureOf, type Webhook } from './payloads.ts';
import type { Reached } from './reach.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
}
export interface Gateway {
  readonly url: string;
  /** Sends as GitHub does. `signature: false` sends none. */
  post(hook: Webhook, options?: { secret?: string; signature?: string | false }): Promise<Answer>;
  close(): Promise<void>;
}

/** One tenant's gateway, as GitHub sees it. */
export const openGateway = (reached: Reached, integration: string, secret: string): Gateway => {
  const agent = new Agent({ connections: 32 });
  const url = `http://${reached.host}:${reached.port}/${integration}/webhook`;
  return {
    url,
    post: async (hook, options = {}) => {
      const signature = options.signature ?? signatureOf(hook.body, options.secret ?? secret);
      const answer = await request(url, {
        method: 'POST',
        headers: headersOf(hook, signature === false ? undefined : signature),
        body: hook.body,
        dispatcher: agent,
        signal: AbortSignal.timeout(15_000),
      });
      const text = await answer.body.text();
      return { status: answer.statusCode, headers: answer.headers, body: jsonOf(text) };
    },
    close: async () => {
      await agent.close();
      reached.close();
    },
  };
};

const jsonOf = (text: string): Record<string, unknown> => {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { text };
  }
};

/** Runs `work` for each item, `width` at a time, and keeps the order of the results. */
export const each = async <T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> => {
  const results: R[] = [];
  const entries = items.entries();
  const lane = async () => {
    for (const [index, item] of entries) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
};
