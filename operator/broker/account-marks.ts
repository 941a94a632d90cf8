import { z } from 'zod';

/*
 * In which accounts something may have happened. A server counts what clients of an account send it, and what the account stores; both
 * together tell in a hundredth of the bytes that its streams, of which there may be ten thousand, are what they were. A message counts before it
 * is stored, and one that takes the place of another of its length changes no total: so whoever sent something is looked at a while longer.
 */
export interface AccountMarks {
  /** All accounts that there are, and those that may have changed since the last call. `undefined`: the servers did not tell. */
  look(at: number): Promise<Moved | undefined>;
}
export interface Moved {
  readonly all: readonly string[];
  readonly moved: readonly string[];
}
/** What each server answers, as it came; `undefined` when one of them did not. */
type Ask = (subject: string, query: object) => Promise<readonly Buffer[] | undefined>;

const figures = z.object({
  server: z.object({ id: z.string() }),
  data: z
    .object({
      total: z.int().optional(),
      account_details: z
        .array(
          z.object({
            name: z.string(),
            id: z.string().optional(),
            memory: z.number(),
            storage: z.number(),
            api: z.object({ total: z.number(), errors: z.number() }),
          }),
        )
        .nullish(),
    })
    .optional(),
});
const traffic = z.object({
  server: z.object({ id: z.string() }),
  data: z.object({
    account_statz: z.array(z.object({ acc: z.string(), received: z.object({ msgs: z.number() }) })).nullish(),
  }),
});

/** Accounts in one answer. */
const page = 1024;
/** Longer than a server needs to store what it has taken. */
const restlessMs = 2_000;
/** A server that does not tell, such as one that does not permit it, is not asked again all the time. */
const silentMs = 300_000;

export const accountMarks = (ask: Ask): AccountMarks => {
  let marks = new Map<string, string>();
  const movedAt = new Map<string, number>();
  let notBefore = Number.NEGATIVE_INFINITY;

  const tell = async <Answer>(schema: z.ZodType<Answer>, subject: string, query: object) => {
    const answers = await ask(subject, query);
    const told = answers?.map((answer) => schema.safeParse(JSON.parse(answer.toString())));
    return told?.every(({ success }) => success) ? told.flatMap(({ data }) => data ?? []) : undefined;
  };
  const read = async (): Promise<Map<string, string> | undefined> => {
    const found = new Map<string, string>();
    const add = (account: string, mark: string) => found.set(account, `${found.get(account) ?? ''} ${mark}`);
    const received = await tell(traffic, '$SYS.REQ.ACCOUNT.PING.STATZ', {});
    if (!received) return undefined;
    for (let offset = 0, total = 1; offset < total; offset += page) {
      const stored = await tell(figures, '$SYS.REQ.SERVER.PING.JSZ', { accounts: true, limit: page, offset });
      if (!stored) return undefined;
      for (const { server, data } of stored) {
        total = Math.max(total, data?.total ?? 0);
        for (const { name, id = name, memory, storage, api } of data?.account_details ?? [])
          add(id, `${server.id} ${memory} ${storage} ${api.total} ${api.errors}`);
      }
    }
    for (const { server, data } of received)
      for (const { acc, received } of data.account_statz ?? [])
        if (found.has(acc)) add(acc, `${server.id} ${received.msgs}`);
    return found;
  };

  return {
    look: async (at) => {
      if (at < notBefore) return undefined;
      const found = await read();
      if (!found) {
        notBefore = at + silentMs;
        return undefined;
      }
      for (const [account, mark] of found) if (marks.get(account) !== mark) movedAt.set(account, at);
      for (const [account, since] of movedAt)
        if (at - since > restlessMs || !found.has(account)) movedAt.delete(account);
      marks = found;
      return { all: [...found.keys()], moved: [...movedAt.keys()] };
    },
  };
};
