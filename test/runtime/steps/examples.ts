import { expect } from 'vitest';
import { startMockServer } from '../../../cli/local/mock-server.ts';
import { catalog } from '../../../runtime/catalog.ts';
import type { ExampleAnswer, ExampleMessage, StepExample } from '../../../runtime/connector.ts';
import { createEgress } from '../../../runtime/egress.ts';
import { openParts, type PartContext } from '../../../runtime/engine/parts.ts';
import { createStepMemory } from '../../../runtime/engine/step-memory.ts';
import { runSteps, StepError } from '../../../runtime/engine/steps.ts';
import { type Flow, stepItem } from '../../../runtime/flow.ts';
import type { JsonValue, Message } from '../../../runtime/message.ts';
import { createMemoryTransport } from '../../../runtime/transport/memory.ts';
import { attemptOf } from '../attempt.ts';
import { startGatherer } from './gatherer.ts';
import { messageOf, silent } from './harness.ts';

/* A step of an example, among the real parts of the engine. */
export type Shown = Omit<StepExample, 'why' | 'config'> & {
  readonly step: Readonly<Record<string, unknown>>;
  readonly publishes?: readonly Published[];
};
type Published = ExampleMessage & { readonly type: string };
interface Outcome {
  readonly becomes: readonly ExampleMessage[];
  readonly publishes: readonly Published[];
  readonly asks: readonly string[];
}

/** What is said of its configuration; nothing when it is right. */
export const refusalOf = ({ step }: Shown): string | undefined => {
  const { error } = stepItem.safeParse({ name: 'tried', ...step });
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n');
};

/** What the given message becomes; a rejection with the step's own error. */
export const becomes = async (
  { step, flows = {}, ...example }: Shown & { readonly given: ExampleMessage },
  like: readonly ExampleMessage[],
): Promise<Outcome> => {
  await using server = await otherSide([step, flows], example.answers ?? []);
  const steps = (items: readonly Readonly<Record<string, unknown>>[], prefix: string) =>
    items.map((item, index) => stepItem.parse({ name: `${prefix}-${index}`, ...item }));
  const flow = {
    tenant: 'acme',
    integration: 'orders',
    steps: steps([step], 'tried'),
    flows: Object.entries(flows).map(([name, items = []]) => ({ name, steps: steps(items, name) })),
    sinks: [],
    connections: server.connections,
  };
  const events: Message[] = [];
  const parts = await openParts(flow as unknown as Flow, catalog, {
    memory: createStepMemory(Promise.resolve(createMemoryTransport({ streams: [] })), 'orders'),
    publisher: () => async (event: Message) => void events.push(event),
    egress: createEgress({ allow: [{ cidr: '127.0.0.1/32' }], closed: [] }),
    own: () => ({ source: '', room: async () => 100_000, put: async () => true }),
    now: Date.now,
    log: silent,
  } as unknown as PartContext);
  try {
    const messages = await runSteps(parts.steps, messageFrom(example.given), attemptOf());
    await parts.close();
    return {
      becomes: messages.map((message, index) => shown(message, like[index])),
      publishes: events.map((event, index) => ({
        type: event.attrs.type,
        ...shown(event, example.publishes?.[index]),
      })),
      asks: server.asked(),
    };
  } catch (error) {
    throw error instanceof StepError ? error.cause : error;
  } finally {
    await parts.close();
  }
};

/** One HTTP server for all Connections that the configuration names. */
const otherSide = async (config: unknown, answers: readonly ExampleAnswer[]) => {
  const names = [...JSON.stringify(config).matchAll(/"connectionRef":\{"name":"([^"]+)"/g)].map(
    ([, name = '']) => name,
  );
  const server = await startMockServer();
  const connections = Object.fromEntries(names.map((name) => [name, { http: { url: 'http://example' } }]));
  const played = server.play(connections, Object.fromEntries(names.map((name) => [name, [...answers]])));
  return {
    connections: played.connections,
    asked: () => [...played.calls.values()].flat().map(({ method, path }) => `${method} ${path}`),
    [Symbol.asyncDispose]: () => server.close(),
  };
};

/** The same for a step that gathers. */
export const gathered = async (
  { step, givenAll }: Shown & { readonly givenAll: readonly ExampleMessage[] },
  like: readonly ExampleMessage[],
): Promise<readonly ExampleMessage[]> => {
  const [[name, config] = []] = Object.entries(step);
  const definition = catalog.steps.get(name ?? '');
  if (!definition) throw new Error(`there is no step "${name}"`);
  const gatherer = await startGatherer(definition, config);
  for (const [index, given] of givenAll.entries()) {
    const message = messageFrom(given);
    const attrs = { ...message.attrs, id: `m${index}` };
    expect(await gatherer.give(null, { id: attrs.id, message: { ...message, attrs } })).toBe('on');
    await gatherer.pass(1_000);
  }
  await gatherer.finish();
  return gatherer.made.map((message, index) => shown(message, like[index]));
};

const messageFrom = (given: ExampleMessage): Message =>
  messageOf('text' in given ? Buffer.from(given.text) : (given.body as JsonValue), {
    headers: given.headers ?? {},
    ...(given.vars ? { vars: given.vars as NonNullable<Message['vars']> } : {}),
  });

const shown = (made: Message, like: ExampleMessage | undefined): ExampleMessage => {
  const bytes = Buffer.from(made.body.bytes()).toString();
  const body = like !== undefined && 'text' in like ? { text: bytes } : { body: JSON.parse(bytes) as JsonValue };
  const { headers, vars } = made;
  return { ...body, ...(Object.keys(headers).length > 0 ? { headers } : {}), ...(vars ? { vars } : {}) };
};
