import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { PermissionViolationError } from '@nats-io/transport-node';
import type { Accounts } from './accounts.ts';
import { type TenantName, tenantNames } from './expectations.ts';
import { integration } from './objects.ts';
import type { Report } from './report.ts';

/*
 * One tenant's credentials against the other: an account is a world of its own, so what a tenant may publish stays in it, and inside its
 * own account a pod may do only its work. A refusal counts only if the account's administrator gets through with the same request.
 */
const stream = `inbox_${integration}`;
const requests: readonly (readonly [subject: string, payload: string])[] = [
  [`$JS.API.STREAM.INFO.${stream}`, ''],
  ['$JS.API.STREAM.NAMES', ''],
  ['$JS.API.STREAM.LIST', ''],
  [`$JS.API.STREAM.MSG.GET.dlq_${integration}`, '{"seq":1}'],
  [`$JS.API.CONSUMER.LIST.${stream}`, ''],
  ['$JS.API.STREAM.INFO.KV_state', ''],
  ['$JS.API.DIRECT.GET.KV_state', '{"seq":1}'],
];
const subscriptions = ['>', 'inbox.>', 'dlq.>', '$JS.ACK.>', '_INBOX.>', '$SYS.>'];

export const showIsolation = async (
  accounts: Accounts,
  uids: Record<TenantName, string>,
  report: Report,
): Promise<void> => {
  for (const tenant of tenantNames) {
    const other = tenantNames.find((name) => name !== tenant) as TenantName;
    for (const role of ['worker', 'gateway'] as const) await showOwnWork(accounts, tenant, role, report);
    await showNothingCrosses(accounts, tenant, other, report);
    const info = await (await accounts.manager(tenant)).streams.info(stream);
    const uid = info.config.metadata?.['kanava.dev/uid'];
    report.check(
      uid === uids[tenant] && uid !== uids[other],
      `${tenant}: even its administrator finds under "${stream}" the stream of ${tenant} (${uid}), never that of ${other}`,
    );
  }
};

/** What the ${role}'s credentials are refused, and the administrator is not. */
const showOwnWork = async (
  accounts: Accounts,
  tenant: TenantName,
  role: 'worker' | 'gateway',
  report: Report,
): Promise<void> => {
  const [admin, pod] = await Promise.all([accounts.admin(tenant), accounts.pod(tenant, role)]);
  let refused = 0;
  let allowed = 0;
  for (const [subject, payload] of requests) {
    if (await isRefused(() => pod.request(subject, payload, { timeout: 60_000 }))) refused++;
    else report.check(false, `${tenant}: the ${role}'s credentials are not refused on ${subject}`);
    if (!(await isRefused(() => admin.request(subject, payload, { timeout: 60_000 })))) allowed++;
    else report.check(false, `${tenant}: control: the administrator gets no answer on ${subject}`);
  }
  for (const subject of subscriptions) {
    if (await isRefused(() => subscribed(pod, subject))) refused++;
    else report.check(false, `${tenant}: the ${role}'s credentials may subscribe to ${subject}`);
    if (!(await isRefused(() => subscribed(admin, subject)))) allowed++;
    else report.check(false, `${tenant}: control: the administrator may not subscribe to ${subject}`);
  }
  const all = requests.length + subscriptions.length;
  report.check(
    refused === all && allowed === all,
    `${tenant}: its ${role}'s credentials are refused on ${refused} of ${all} subjects, on all of which its administrator is served (${allowed})`,
  );
};

/** What one tenant publishes on a subject that both have is heard in its own account and not in the other's. */
const showNothingCrosses = async (
  accounts: Accounts,
  tenant: TenantName,
  other: TenantName,
  report: Report,
): Promise<void> => {
  const [own, foreign, sender] = await Promise.all([
    accounts.admin(tenant),
    accounts.admin(other),
    accounts.pod(tenant, 'worker'),
  ]);
  const subject = 'bus.demo';
  const [heardHere, heardThere] = [nextOf(own, subject), nextOf(foreign, subject)];
  await Promise.all([own.flush(), foreign.flush()]);
  sender.publish(subject, `from ${tenant}`);
  const here = (await heardHere).string();
  // The sender's message has been through the server; the first thing heard over there is what is sent there now.
  foreign.publish(subject, `from ${other}`);
  const there = (await heardThere).string();
  report.check(
    here === `from ${tenant}` && there === `from ${other}`,
    `${tenant}: what its worker publishes on "${subject}" is heard in its own account and not in that of ${other}`,
  );
};

const nextOf = (connection: NatsConnection, subject: string): Promise<Msg> =>
  new Promise((resolve, reject) => {
    connection.subscribe(subject, {
      max: 1,
      timeout: 60_000,
      callback: (error, message) => (error ? reject(error) : resolve(message)),
    });
  });

/** Resolves when the server has taken the subscription. */
const subscribed = async (connection: NatsConnection, subject: string): Promise<void> => {
  const failed = new Promise<never>((_, reject) => {
    const subscription = connection.subscribe(subject, { callback: (error) => void (error && reject(error)) });
    connection.flush().then(() => setImmediate(() => subscription.unsubscribe()), reject);
  });
  failed.catch(() => {});
  await Promise.race([failed, connection.flush().then(() => connection.flush())]);
};

/** Only the server's own refusal counts: a time-out or a lost connection ends the demo. */
const isRefused = async (attempt: () => Promise<unknown>): Promise<boolean> => {
  try {
    await attempt();
    return false;
  } catch (error) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      if (cause instanceof PermissionViolationError) return true;
    throw error;
  }
};
