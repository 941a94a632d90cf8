import { catalog } from '../../../runtime/catalog.ts';
import type { ExampleMessage, StepExample } from '../../../runtime/connector.ts';
import { openParts, type PartContext } from '../../../runtime/engine/parts.ts';
import { createStepMemory } from '../../../runtime/engine/step-memory.ts';
import { runSteps, StepError } from '../../../runtime/engine/steps.ts';
import { type Flow, stepItem } from '../../../runtime/flow.ts';
import type { JsonValue, Message } from '../../../runtime/message.ts';
import { createMemoryTransport } from '../../../runtime/transport/memory.ts';
import { attemptOf } from '../attempt.ts';
import { messageOf, silent } from './harness.ts';

/* A step of an example, among the real parts of the engine. */
export type Shown = Omit<StepExample, 'why' | 'config'> & {
  readonly step: Readonly<Record<string, unknown>>;
  readonly publishes?: readonly Published[];
};
type Published = ExampleMessage & { readonly type: string };

/** What is said of its configuration; nothing when it is right. */
export const refusalOf = ({ step }: Shown): string | undefined => {
  const { error } = stepItem.safeParse({ name: 'tried', ...step });
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n');
};

/** What the given message becomes; a rejection with the step's own error. */
export const becomes = async (
  { step, flows = {}, ...example }: Shown & { readonly given: ExampleMessage },
  like: readonly ExampleMessage[],
): Promise<{ readonly becomes: readonly ExampleMessage[]; readonly publishes: readonly Published[] }> => {
  const steps = (items: readonly Readonly<Record<string, unknown>>[], prefix: string) =>
    items.map((item, index) => stepItem.parse({ name: `${prefix}-${index}`, ...item }));
  const flow = {
    tenant: 'acme',
    integration: 'orders',
    steps: steps([step], 'tried'),
    flows: Object.entries(flows).map(([name, items = []]) => ({ name, steps: steps(items, name) })),
    sinks: [],
    connections: {},
  };
  const events: Message[] = [];
  const parts = await openParts(flow as unknown as Flow, catalog, {
    memory: createStepMemory(Promise.resolve(createMemoryTransport({ streams: [] })), 'orders'),
    publisher: () => async (event: Message) => void events.push(event),
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
    };
  } catch (error) {
    throw error instanceof StepError ? error.cause : error;
  } finally {
    await parts.close();
  }
};

const messageFrom = (given: ExampleMessage): Message =>
  messageOf('text' in given ? Buffer.from(given.text) : (given.body as JsonValue), { headers: given.headers ?? {} });

const shown = (made: Message, like: ExampleMessage | undefined): ExampleMessage => {
  const bytes = Buffer.from(made.body.bytes()).toString();
  const body = like !== undefined && 'text' in like ? { text: bytes } : { body: JSON.parse(bytes) as JsonValue };
  return { ...body, ...(Object.keys(made.headers).length > 0 ? { headers: made.headers } : {}) };
};
