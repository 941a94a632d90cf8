import type {
  Attempt,
  ConnectionDefinition,
  Egress,
  ExpressionScope,
  OpenContext,
  OpenSink,
  OpenStep,
  OwnInbox,
  Publish,
  RunFlow,
  SinkDefinition,
  StepContext,
  StepDefinition,
  StepMemory,
  StepResult,
  Volume,
} from '../connector.ts';
import { reasonOf, reject } from '../errors.ts';
import { mayLookAtBody } from '../expr/body-use.ts';
import { compilePredicate } from '../expr/predicate.ts';
import { scopeOf } from '../expr/scope.ts';
import { connectionNamed, connectionOf, type Flow, pluginOf } from '../flow.ts';
import type { Message } from '../message.ts';
import { runSteps } from './steps.ts';

/** The open steps and sinks of a flow, in its order. */
export interface Parts {
  readonly steps: readonly StepPart[];
  /** Steps of the named flows, which other steps lead messages through. */
  readonly flowSteps: readonly StepPart[];
  readonly sinks: readonly SinkPart[];
  close(): Promise<void>;
}
interface Part {
  readonly name: string;
  /** The session is gone: the next use opens a new one. */
  reopen(): Promise<void>;
}
export interface StepPart extends Part {
  /** It can do with a body that lies in parts: see the contract. */
  readonly takesParts: boolean;
  /** For bodies that lie in parts, where the step makes several messages of one. */
  readonly takeApart?: ((message: Message, attempt: Attempt) => AsyncIterable<Message>) | undefined;
  /** Name and configuration, on which it depends what the messages are. */
  readonly identity?: string | undefined;
  run(message: Message, attempt: Attempt): StepResult | Promise<StepResult>;
  /** For what it put into its own inbox. */
  resume(message: Message, attempt: Attempt): Promise<StepResult>;
}
export interface SinkPart extends Part {
  readonly takesParts: boolean;
  /** Its condition may look at the body. */
  readonly looksAtBody: boolean;
  holds(message: Message, attempt: Attempt): boolean;
  send(message: Message, attempt: Attempt): Promise<void>;
}

/** What the catalogue knows, so that the engine knows no name. */
export interface Plugins {
  readonly steps: ReadonlyMap<string, StepDefinition>;
  readonly sinks: ReadonlyMap<string, SinkDefinition>;
  readonly connections: ReadonlyMap<string, ConnectionDefinition>;
}
export interface PartContext extends OpenContext {
  readonly egress: Egress;
  readonly volume: Volume;
  /** How a sink or step of this name publishes to the bus. */
  readonly publisher: (part: string) => Publish;
  /** What a step of this name remembers. */
  readonly memory: (step: string) => StepMemory;
  /** What a step of this name puts into the inbox. */
  readonly own: (step: string) => OwnInbox;
  readonly now: () => number;
}

export const openParts = async (
  flow: Flow,
  plugins: Plugins,
  { publisher, memory, own, ...context }: PartContext,
): Promise<Parts> => {
  const scope = scopeFor(flow);
  const closers: (() => Promise<void>)[] = [];
  const session = async <T extends { close?(): Promise<void> }>(what: string, open: () => Promise<T>) => {
    let current: Promise<T> | undefined = open();
    closers.push(async () => (await current)?.close?.());
    return {
      // Rejected openings are not kept: the next use tries again.
      use: (): Promise<T> => {
        if (current) return current;
        const opening = open();
        current = opening;
        opening.catch(() => {
          if (current === opening) current = undefined;
        });
        return opening;
      },
      opened: await current.catch((cause: unknown) => {
        throw new Error(`${what} cannot be opened: ${reasonOf(cause)}`, { cause });
      }),
      reopen: async () => {
        const old = current;
        current = undefined;
        await (await old?.catch(() => undefined))?.close?.();
      },
    };
  };

  const named = new Map<string, readonly StepPart[]>();
  const throughFlow = (name: string): RunFlow => {
    if (!flow.flows.some((each) => each.name === name)) throw new Error(`there is no flow "${name}" to go through`);
    const single = (messages: readonly Message[]) => (messages.length === 1 ? messages[0] : messages);
    return (message, attempt) => {
      // Looked up now: flows name each other, and all are open when messages come.
      const steps = named.get(name);
      if (!steps) throw new Error(`flow "${name}" is not open yet`);
      const messages = runSteps(steps, message, attempt);
      return messages instanceof Promise ? messages.then(single) : single(messages);
    };
  };
  const openStep = async (item: Flow['steps'][number]): Promise<StepPart> => {
    const { definition, config } = pluginOf(item, plugins.steps);
    const stepContext: StepContext = {
      ...context,
      scope,
      flow: throughFlow,
      memory: memory(item.name),
      connection: ({ name }) => connectionNamed(flow, name, plugins.connections),
      get own() {
        return own(item.name);
      },
      // Made for those that ask: most steps do not publish.
      get publish() {
        return publisher(item.name);
      },
    };
    const { use, opened, reopen } = await session<OpenStep>(`step "${item.name}"`, async () =>
      definition.open(config, stepContext),
    );
    let live: OpenStep | undefined = opened;
    return {
      name: item.name,
      takesParts: definition.takesParts?.(config) ?? false,
      identity: opened.takeApart && `${item.name} ${JSON.stringify(config)}`,
      takeApart:
        opened.takeApart &&
        async function* (message, attempt) {
          const step = live ?? (await use());
          if (step.takeApart) yield* step.takeApart(message, attempt);
        },
      run: (message, attempt) =>
        live
          ? live.run(message, attempt)
          : use().then((step) => {
              live = step;
              return step.run(message, attempt);
            }),
      async resume(message, attempt) {
        const step = live ?? (await use());
        if (step.resume) return step.resume(message, attempt);
        throw reject('UnknownStep', `the message was made by another step "${item.name}", which gathered messages`);
      },
      async reopen() {
        live = undefined;
        await reopen();
      },
    };
  };

  const sinks = flow.sinks.map(async (item): Promise<SinkPart> => {
    const { definition, config } = pluginOf(item, plugins.sinks);
    const connection = connectionOf(flow, config, plugins.connections);
    const { use, opened, reopen } = await session<OpenSink>(`sink "${item.name}"`, () =>
      definition.open(config, { ...context, connection, scope, publish: publisher(item.name) }),
    );
    let live: OpenSink | undefined = opened;
    return {
      name: item.name,
      takesParts: definition.takesParts?.(config) ?? false,
      looksAtBody: item.when !== undefined && mayLookAtBody(item.when),
      holds: predicate(item.name, item.when, scope),
      send: (message, attempt) =>
        live
          ? live.send(message, attempt)
          : use().then((sink) => {
              live = sink;
              return sink.send(message, attempt);
            }),
      async reopen() {
        live = undefined;
        await reopen();
      },
    };
  });

  for (const { name, steps } of flow.flows) named.set(name, await Promise.all(steps.map(openStep)));
  return {
    steps: await Promise.all(flow.steps.map(openStep)),
    flowSteps: [...named.values()].flat(),
    sinks: await Promise.all(sinks),
    async close() {
      await Promise.allSettled(closers.map((close) => close()));
    },
  };
};

const scopeFor = ({ tenant, integration }: Flow) => {
  // The same for all first attempts, which most are.
  const first = { tenant, integration, attempt: 1 };
  return (message: Message, { number }: Attempt): ExpressionScope =>
    scopeOf(message, number === 1 ? first : { ...first, attempt: number });
};

const predicate = (sink: string, when: string | undefined, scope: ReturnType<typeof scopeFor>): SinkPart['holds'] => {
  if (when === undefined) return () => true;
  const holds = compilePredicate(`when of sink "${sink}"`, when);
  return (message, attempt) => holds(scope(message, attempt));
};
