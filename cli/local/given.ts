import { randomUUID } from 'node:crypto';
import { catalog } from '../../runtime/catalog.ts';
import type { Log } from '../../runtime/connector.ts';
import { pluginOf } from '../../runtime/flow.ts';
import { createAccept } from '../../runtime/gateway/accept.ts';
import { type Attributes, Body, type Message } from '../../runtime/message.ts';
import { encodeMessage } from '../../runtime/nats/envelope.ts';
import { busSubject } from '../../runtime/nats/names.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import type { LocalIntegration, LocalSchedule } from './plan.ts';

/* Messages that come to a source of an Integration without its protocol: as if it had received them. */
export interface Given {
  /** Default: the first source. */
  readonly source?: string | undefined;
  readonly attrs?: Readonly<Record<string, string>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Of a schedule: default its own. */
  readonly body?: Body | undefined;
}

export const give = async (
  { flow, routes, schedules }: LocalIntegration,
  transport: Transport,
  given: Given,
  { log, now = Date.now }: { readonly log: Log; readonly now?: () => number },
): Promise<void> => {
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
    if (binding.stream === 'bus') return publish(transport, message, given.attrs?.['type'] ?? binding.types[0] ?? '');
    const schedule = schedules.find(({ source }) => source === item.name);
    if (schedule) return tick(transport, schedule, now(), given.body);
  }
  if (!routes) throw new Error(`source "${item.name}" of ${flow.integration} takes no messages here`);
  await createAccept(transport, routes, item.name, log)(message);
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
