import { z } from 'zod';
import { BrokerError } from '../reconcile/ports.ts';
import type { LazyConnection } from './connection.ts';
import { askServers } from './scatter.ts';

/*
 * The NATS servers as the system account sees them: how many there are, whether each of them did what was asked.
 */
/** Counts the servers that should be there, also those that are down. The ping's `active_servers` counts one that came back twice. */
const jetstream = z.object({
  data: z.object({ meta_cluster: z.object({ cluster_size: z.int() }).optional() }).optional(),
});

const result = z.object({
  server: z.object({ name: z.string() }).optional(),
  data: z.object({ code: z.int().optional(), message: z.string().optional() }).optional(),
  error: z.object({ code: z.int().optional(), description: z.string() }).optional(),
});

export interface Servers {
  /** How many must answer. */
  count(): Promise<number>;
  /** The account's token as each server has it; empty text where it has none. */
  lookup(account: string): Promise<string[]>;
  update(jwt: string): Promise<Verdict>;
  remove(jwt: string): Promise<Verdict>;
  /** Accounts known to each server that answered. */
  list(): Promise<string[][]>;
}
export interface Verdict {
  readonly acked: number;
  readonly total: number;
  /** The texts of servers that refused. */
  readonly refusals: readonly string[];
}

const countAgeMs = 5_000;

export const createServers = (ctl: LazyConnection, meter: LazyConnection): Servers => {
  let counted = { at: Number.NEGATIVE_INFINITY, count: 0 };

  const clusterSize = async (): Promise<number> => {
    const answers = await askServers(await meter.get(), {
      subject: '$SYS.REQ.SERVER.PING.JSZ',
      inboxPrefix: '_INBOX_meter',
      expected: 1,
    });
    const found = jetstream.safeParse(JSON.parse(answers[0] ?? '{}'));
    return found.data?.data?.meta_cluster?.cluster_size ?? 0;
  };
  const count = async (): Promise<number> => {
    if (performance.now() - counted.at > countAgeMs) {
      // The ping shows that claims can be pushed at all; a server without a cluster is alone.
      const [size] = await Promise.all([clusterSize(), answers()]);
      counted = { at: performance.now(), count: Math.max(1, size) };
    }
    return counted.count;
  };
  const answers = async (): Promise<void> => {
    const subject = '$SYS.REQ.SERVER.PING';
    const found = await askServers(await ctl.get(), { subject, inboxPrefix: '_INBOX_ctl', expected: 1 });
    if (found.length === 0) throw new BrokerError('Unreachable', `No NATS server answered ${subject} within 3 s`);
  };

  const ask = async (subject: string, payload = ''): Promise<{ answers: string[]; total: number }> => {
    const total = await count();
    const answers = await askServers(await ctl.get(), { subject, payload, inboxPrefix: '_INBOX_ctl', expected: total });
    return { answers, total };
  };
  const command = async (subject: string, jwt: string): Promise<Verdict> => {
    const { answers, total } = await ask(subject, jwt);
    const results = answers.map((answer) => result.parse(JSON.parse(answer)));
    const refusals = results.flatMap(({ server, data, error }) =>
      data?.code === 200
        ? []
        : [`${server?.name ?? 'a server'}: ${error?.description ?? data?.message ?? 'no reason'}`],
    );
    return { acked: results.length - refusals.length, total, refusals };
  };
  return {
    count,
    lookup: async (account) => (await ask(`$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`)).answers,
    update: (jwt) => command('$SYS.REQ.CLAIMS.UPDATE', jwt),
    remove: (jwt) => command('$SYS.REQ.CLAIMS.DELETE', jwt),
    list: async () => {
      const accounts = z.object({ data: z.array(z.string()) });
      return (await ask('$SYS.REQ.CLAIMS.LIST')).answers.map((answer) => accounts.parse(JSON.parse(answer)).data);
    },
  };
};
