import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { request } from 'undici';
import type { Accounts } from './accounts.ts';
import { type Expected, type TenantName, tenantNames } from './expectations.ts';
import { integration } from './objects.ts';
import type { Reached } from './reach.ts';
import type { Delivery } from './receiver.ts';

/* What arrived, beside what must arrive; and what did not get through, with its reason. */
export interface Comparison {
  readonly matched: number;
  readonly missing: readonly Expected[];
  readonly unexpected: readonly Delivery[];
  readonly different: readonly { expected: Expected; body: string }[];
  /** Delivered more than once, with the id of the first time. */
  readonly repeated: readonly Delivery[];
}

export const receivedBy = async ({ host, port }: Reached): Promise<Delivery[]> => {
  const { body } = await request(`http://${host}:${port}/deliveries`, { signal: AbortSignal.timeout(15_000) });
  return (await body.json()) as Delivery[];
};

export const forgetReceived = async ({ host, port }: Reached): Promise<void> => {
  const { body } = await request(`http://${host}:${port}/deliveries`, {
    method: 'DELETE',
    signal: AbortSignal.timeout(15_000),
  });
  await body.dump();
};

/** Each delivery is one message on one path: the same message may go to several sinks. */
const keyOf = ({ path, id }: { path: string; id: string }): string => `${path} ${id}`;

export const compare = (expected: readonly Expected[], received: readonly Delivery[]): Comparison => {
  const wanted = new Map(expected.map((one) => [keyOf(one), one]));
  const seen = new Set<string>();
  const unexpected: Delivery[] = [];
  const repeated: Delivery[] = [];
  const different: { expected: Expected; body: string }[] = [];
  let matched = 0;
  for (const delivery of received) {
    const key = keyOf(delivery);
    const one = wanted.get(key);
    if (!one) unexpected.push(delivery);
    else if (seen.has(key)) repeated.push(delivery);
    else if (isDeepStrictEqual(JSON.parse(delivery.body), one.body)) matched++;
    else different.push({ expected: one, body: delivery.body });
    seen.add(key);
  }
  return { matched, unexpected, repeated, different, missing: expected.filter((one) => !seen.has(keyOf(one))) };
};

/**
 * Until the tenant's inbox is empty: then whatever was accepted has been delivered, filtered out or dead-lettered. A server that has just
 * been killed may leave a question unanswered: it is asked again, and only the end of the time makes that an error.
 */
export const inboxEmpty = async (accounts: Accounts, tenant: TenantName, deadlineMs: number): Promise<number> => {
  const { streams } = await accounts.manager(tenant);
  const end = performance.now() + deadlineMs;
  for (;;) {
    const isLast = performance.now() > end;
    const messages = await streams.info(`inbox_${integration}`).then(
      ({ state }) => state.messages,
      (error: unknown) => {
        if (isLast) throw error;
        return undefined;
      },
    );
    if (messages === 0 || (isLast && messages !== undefined)) return messages;
    await pause(100);
  }
};

export interface DeadLetter {
  readonly id: string;
  readonly step: string;
  readonly code: string;
  readonly message: string;
  readonly attempts: string;
  readonly event: string;
  readonly body: string;
}
export const deadLettersOf = async (accounts: Accounts, tenant: TenantName): Promise<DeadLetter[]> => {
  const { streams } = await accounts.manager(tenant);
  const stream = `dlq_${integration}`;
  const { state } = await streams.info(stream);
  const letters: DeadLetter[] = [];
  for (let seq = state.first_seq; state.messages > 0 && seq <= state.last_seq; seq++) {
    const stored = await streams.getMessage(stream, { seq });
    if (!stored) continue;
    const header = (name: string) => decodeURIComponent(stored.header.get(name));
    letters.push({
      id: header('ce-id'),
      step: header('kanava-part'),
      code: header('kanava-code'),
      message: header('kanava-message'),
      attempts: header('kanava-attempts'),
      event: header('header-x-github-event'),
      body: new TextDecoder().decode(stored.data),
    });
  }
  return letters;
};

export const idsOfDeadLetters = async (accounts: Accounts): Promise<ReadonlySet<string>> => {
  const letters = await Promise.all(tenantNames.map((tenant) => deadLettersOf(accounts, tenant)));
  return new Set(letters.flat().map(({ id }) => id));
};
