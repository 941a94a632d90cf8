import type { Accounts } from './accounts.ts';
import { compare, deadLettersOf, inboxEmpty, receivedBy } from './deliveries.ts';
import { type Expected, expectedOf, rejectedOf, type TenantName, tenantNames } from './expectations.ts';
import { shop } from './objects.ts';
import { type Webhook, webhook } from './payloads.ts';
import { each, type Gateway } from './posting.ts';
import type { Reached } from './reach.ts';
import type { Report } from './report.ts';

/* The parts of the demo that send and compare messages. */
export type Gateways = Readonly<Record<TenantName, Gateway>>;

const width = 24;

/** All payloads to both gateways, as GitHub would send them. */
export const sendAll = async (gateways: Gateways, hooks: readonly Webhook[], report: Report): Promise<void> => {
  for (const tenant of tenantNames) {
    const begun = performance.now();
    const answers = await each(hooks, width, (hook) => gateways[tenant].post(hook));
    const seconds = (performance.now() - begun) / 1000;
    const accepted = answers.filter(
      ({ status, body }, index) => status === 202 && body['id'] === hooks[index]?.id,
    ).length;
    const statuses = [...new Set(answers.map(({ status }) => status))].join(', ');
    report.check(
      accepted === hooks.length,
      `${tenant}: ${accepted} of ${hooks.length} payloads accepted with their GitHub delivery id (status ${statuses}), ${Math.round(hooks.length / seconds)} a second`,
    );
    const [first] = hooks;
    if (!first) continue;
    const again = await gateways[tenant].post(first);
    report.check(
      again.status === 202 && again.body['duplicate'] === true,
      `${tenant}: the first one sent again is recognised: ${again.status} ${JSON.stringify(again.body)}`,
    );
  }
};

/** What a gateway does not take, and why. */
export const showRefusals = async (
  gateways: Gateways,
  secrets: Record<TenantName, string>,
  report: Report,
): Promise<void> => {
  const good = webhook('issues', '{"action":"opened"}');
  const broken = webhook('issues', '{"action":"opened",');
  for (const tenant of tenantNames) {
    const { post } = gateways[tenant];
    const other = tenantNames.find((name) => name !== tenant) as TenantName;
    const tries = [
      { what: 'broken JSON', status: 400, answer: await post(broken) },
      { what: 'a signature with a wrong secret', status: 401, answer: await post(good, { secret: 'guessed' }) },
      { what: 'no signature', status: 401, answer: await post(good, { signature: false }) },
      {
        what: `a signature with the secret of ${other}`,
        status: 401,
        answer: await post(good, { secret: secrets[other] }),
      },
    ];
    for (const { what, status, answer } of tries)
      report.check(
        answer.status === status,
        `${tenant}: ${what} is refused: ${answer.status} ${String(answer.body['detail'])}`,
      );
  }
};

/** A payload that each flow takes and cannot map. */
export const sendUnmappable = async (gateways: Gateways, report: Report): Promise<Record<TenantName, Webhook>> => {
  const hooks = {
    acme: webhook('issues', '{"action":"opened","issue":{"number":1},"repository":{"full_name":"demo/demo"}}'),
    globex: webhook('issues', '{"action":"opened","repository":{},"sender":{"login":"demo","type":"User"}}'),
  };
  for (const tenant of tenantNames) {
    const { status } = await gateways[tenant].post(hooks[tenant]);
    report.check(status === 202, `${tenant}: a payload without what its flow needs is accepted: ${status}`);
  }
  return hooks;
};

export const compareDeliveries = async (
  accounts: Accounts,
  receiver: Reached,
  hooks: readonly Webhook[],
  report: Report,
): Promise<void> => {
  for (const tenant of tenantNames) {
    const left = await inboxEmpty(accounts, tenant, 180_000);
    report.check(left === 0, `${tenant}: its inbox is empty, so nothing more can come (${left} left)`);
  }
  const received = await receivedBy(receiver);
  const foreign = received.filter(
    ({ path }) => ![...tenantNames, shop].some((tenant) => path.startsWith(`/${tenant}/`)),
  );
  report.check(foreign.length === 0, `nothing came on a path that no flow names (${foreign.length})`);
  for (const tenant of tenantNames) {
    const expected = expectedOf[tenant](hooks);
    const result = compare(
      expected,
      received.filter(({ path }) => path.startsWith(`/${tenant}/`)),
    );
    const { matched, missing, unexpected, different, repeated } = result;
    report.check(
      matched === expected.length && missing.length + unexpected.length + different.length + repeated.length === 0,
      `${tenant}: ${matched} of ${expected.length} expected deliveries arrived, equal in path, id and body (${perPath(expected)}); ` +
        `missing ${missing.length}, unexpected ${unexpected.length}, different ${different.length}, repeated ${repeated.length}`,
    );
    for (const one of missing.slice(0, 3)) report.note(`missing: ${one.path} ${one.id} ${JSON.stringify(one.body)}`);
    for (const one of different.slice(0, 3))
      report.note(`expected ${JSON.stringify(one.expected.body)}\ngot      ${one.body}`);
    for (const one of unexpected.slice(0, 3)) report.note(`unexpected: ${one.path} ${one.id} ${one.body}`);
  }
};

const perPath = (expected: readonly Expected[]): string => {
  const counts = new Map<string, number>();
  for (const { path } of expected) counts.set(path, (counts.get(path) ?? 0) + 1);
  return [...counts].map(([path, count]) => `${path} ${count}`).join(', ');
};

/** Dead letters are exactly those that must be there, each with its reason and its original body. */
export const compareDeadLetters = async (
  accounts: Accounts,
  {
    hooks,
    crafted,
    old,
  }: { hooks: readonly Webhook[]; crafted: Record<TenantName, Webhook>; old: ReadonlySet<string> },
  report: Report,
): Promise<void> => {
  const steps = { acme: 'ticket', globex: 'activity' };
  for (const tenant of tenantNames) {
    const bodies = new Map([...hooks, crafted[tenant]].map(({ id, body }) => [id, body]));
    const wanted = [...rejectedOf[tenant](hooks), crafted[tenant].id].sort();
    const letters = (await deadLettersOf(accounts, tenant)).filter(({ id }) => !old.has(id));
    const right = letters.filter(
      ({ id, step, code, body, event }) =>
        step === steps[tenant] && code === 'ExpressionFailed' && event === 'issues' && body === bodies.get(id),
    );
    const same =
      letters
        .map(({ id }) => id)
        .sort()
        .join() === wanted.join();
    report.check(
      same && right.length === wanted.length,
      `${tenant}: ${letters.length} of ${wanted.length} expected dead letters, with step, code, original header and body`,
    );
    for (const { step, code, message, attempts } of letters)
      report.note(`step ${step}, attempt ${attempts}: ${code}: ${message}`);
  }
};
