import { randomUUID } from 'node:crypto';
import { createAccept, inboxOf } from '../../runtime/accept.ts';
import { catalog } from '../../runtime/catalog.ts';
import type { Log } from '../../runtime/connector.ts';
import { InstructionError } from '../../runtime/errors.ts';
import { pluginOf } from '../../runtime/flow.ts';
import { type Attributes, Body, type Message } from '../../runtime/message.ts';
import { encodeMessage } from '../../runtime/nats/envelope.ts';
import { busSubject } from '../../runtime/nats/names.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import type { LocalIntegration, LocalSchedule } from './plan.ts';
import type { LocalTenant } from './tenant.ts';

/* Messages that come to a source of an Integration without its protocol: as if it had received them. */
export interface Given {
  /** Default: the first source. */
  readonly source?: string | undefined;
  readonly attrs?: Readonly<Record<string, string>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Of a schedule: default its own. */
  readonly body?: Body | undefined;
}

/** Through an inbox or a shared stream; what a source answers with its flow goes to `call` and comes back. */
export const give = async (
  { flow, schedules, suspended }: LocalIntegration,
  { transport, call }: Pick<LocalTenant, 'transport' | 'call'>,
  given: Given,
  { log, now = Date.now }: { readonly log: Log; readonly now?: () => number },
): Promise<Answer | undefined> => {
  const item = given.source === undefined ? flow.sources[0] : flow.sources.find(({ name }) => name === given.source);
  if (!item) {
    const known = flow.sources.map(({ name }) => name).join(', ');
    throw new Error(`Integration ${flow.integration} has no source "${given.source}"; it has: ${known}`);
  }
  const { definition, config } = pluginOf(item, catalog.sources);
  const message: Message = {
    attrs: {
      id: randomUUID(),
      source: `/${flow.tenant}/${flow.integration}/${item.name}`,
      type: typeOf(config),
      time: new Date(now()).toISOString(),
      ...given.attrs,
      specversion: '1.0',
    },
    headers: given.headers ?? {},
    body: given.body ?? Body.fromValue({}),
  };
  if (definition.placement === 'broker') {
    const binding = definition.bind(config);
    const schedule = schedules.find(({ source }) => source === item.name);
    if (binding.stream === 'bus') await publish(transport, message, given.attrs?.['type'] ?? binding.types[0] ?? '');
    else if (schedule) await tick(transport, schedule, now(), given.body);
    return undefined;
  }
  const timeoutMs = definition.placement === 'gateway' ? definition.replies?.(config) : undefined;
  if (timeoutMs !== undefined) return answerOf(call(flow.integration, suspended)(message, { timeoutMs }));
  await createAccept(transport, inboxOf(flow), item.name, log)(message);
  return undefined;
};

/** What whoever asked gets: a message, nothing, or what failed. */
export type Answer = { readonly message: Message | undefined } | { readonly failed: InstructionError };

const answerOf = async (asked: Promise<Message | undefined>): Promise<Answer> => {
  try {
    return { message: await asked };
  } catch (error) {
    if (!(error instanceof InstructionError)) throw error;
    return { failed: error };
  }
};

/** Sources that name a type give it to messages that have none. */
const typeOf = (config: unknown): string => {
  const { type } = config as { type?: unknown };
  return typeof type === 'string' ? type : 'local.message';
};

const publish = async (transport: Transport, message: Message, type: string): Promise<void> => {
  const attrs: Attributes = { ...message.attrs, type };
  await transport.publish({
    subject: busSubject(type),
    id: `given/${attrs.source}/${attrs.id}`,
    ...encodeMessage({ ...message, attrs: { ...attrs, correlationid: attrs['correlationid'] ?? attrs.id } }),
  });
};

/** What the NATS server stores when a schedule is due. */
export const tick = async (
  transport: Transport,
  { target, headers, body }: LocalSchedule,
  atMs: number,
  other?: Body,
): Promise<void> => {
  const id = `${target}/${Math.floor(atMs / 1000)}`;
  await transport.publish({ subject: target, id, headers, body: other?.bytes() ?? body });
};
