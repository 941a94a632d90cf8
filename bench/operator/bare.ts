import { readFileSync } from 'node:fs';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { Pool } from 'undici';
import { filledIn, type Names, type Write, type Yardstick } from './yardstick.ts';

/*
 * The yardstick as a process: writes what the operator writes and does nothing else. It watches nothing, plans nothing and knows
 * beforehand what to write; its connections are pooled as the operator's are.
 */
export interface BareTask {
  readonly server: string;
  readonly ca: string;
  readonly token: string;
  readonly natsUrl: string;
  readonly connections: number;
  /** Integrations in work at once. */
  readonly concurrency: number;
  readonly yardstick: Yardstick;
  /** Credentials by tenant. */
  readonly tenants: Readonly<Record<string, string>>;
  readonly integrations: readonly Names[];
}
export interface BareResult {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly requests: number;
}

const work = async (task: BareTask): Promise<BareResult> => {
  const { yardstick } = task;
  const pool = new Pool(task.server, { connections: task.connections, connect: { ca: task.ca } });
  const accounts = new Map<string, Promise<NatsConnection>>();
  let requests = 0;

  const write = async ({ method, path, contentType, body }: Write, names: Names) => {
    const answer = await pool.request({
      method,
      path: filledIn(path, names),
      headers: { accept: 'application/json', 'content-type': contentType, authorization: `Bearer ${task.token}` },
      body: filledIn(body, names),
    });
    const text = await answer.body.text();
    requests += 1;
    if (answer.statusCode >= 300)
      throw new Error(`${method} ${filledIn(path, names)}: ${answer.statusCode} ${text.slice(0, 500)}`);
    JSON.parse(text);
  };
  const account = (tenant: string): Promise<NatsConnection> => {
    const known = accounts.get(tenant);
    if (known) return known;
    const opening = connect({
      servers: task.natsUrl,
      authenticator: credsAuthenticator(new TextEncoder().encode(task.tenants[tenant])),
      inboxPrefix: '_INBOX_ops',
      noAsyncTraces: true,
    });
    accounts.set(tenant, opening);
    return opening;
  };
  const one = async (names: Names) => {
    const connection = await account(names.tenant);
    for (const [subject, payload] of yardstick.requests) {
      const options = { timeout: 10_000 };
      const answer = await connection.request(filledIn(subject, names), filledIn(payload, names), options);
      const { error } = answer.json<{ error?: { description: string } }>();
      if (error) throw new Error(`${filledIn(subject, names)}: ${error.description}`);
    }
    for (const item of yardstick.writes) await write(item, names);
  };
  const tenant = async (names: Names) => {
    for (const item of yardstick.tenantWrites) await write(item, names);
  };

  const firsts = [...new Map(task.integrations.map((names) => [names.tenant, names])).values()];
  const waiting = [
    ...task.integrations.map((names) => () => one(names)),
    ...firsts.map((names) => () => tenant(names)),
  ];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await next();
  };
  await Promise.all(Array.from({ length: task.concurrency }, worker));

  // Of the whole process, as the operator's: starting and loading is in both.
  const { user, system } = process.cpuUsage();
  const result = { wallSeconds: performance.now() / 1000, cpuSeconds: (user + system) / 1e6, requests };
  await Promise.all(accounts.values().map(async (connection) => (await connection).close()));
  await pool.close();
  return result;
};

if (import.meta.main) {
  const task = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as BareTask;
  process.stdout.write(`${JSON.stringify(await work(task))}\n`);
}
