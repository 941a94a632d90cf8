import type {
  Attempt,
  ConnectionDefinition,
  Egress,
  ExpressionScope,
  OpenContext,
  OpenSink,
  OpenStep,
  SinkDefinition,
  StepDefinition,
  StepResult,
} from '../connector.ts';
import { reject } from '../errors.ts';
import { parseExpression } from '../expr/cel.ts';
import { type Flow, pluginOf } from '../flow.ts';
import type { Message } from '../message.ts';

/** The open steps and sinks of a flow, in its order. */
export interface Parts {
  readonly steps: readonly StepPart[];
  readonly sinks: readonly SinkPart[];
  close(): Promise<void>;
}
interface Part {
  readonly name: string;
  /** The session is gone: the next use opens a new one. */
  reopen(): Promise<void>;
}
export interface StepPart extends Part {
  run(message: Message, attempt: Attempt): StepResult | Promise<StepResult>;
}
export interface SinkPart extends Part {
  holds(message: Message, attempt: Attempt): boolean;
  send(message: Message, attempt: Attempt): Promise<void>;
}

/** What the catalogue knows, so that the engine knows no name. */
export interface Plugins {
  readonly steps: ReadonlyMap<string, StepDefinition>;
  readonly sinks: ReadonlyMap<string, SinkDefinition>;
  readonly connections: ReadonlyMap<string, ConnectionDefinition>;
}
export type PartContext = OpenContext & { readonly egress: Egress };

export const openParts = async (flow: Flow, plugins: Plugins, context: PartContext): Promise<Parts> => {
  const scope = scopeFor(flow);
  const closers: (() => Promise<void>)[] = [];
  const session = async <T extends { close?(): Promise<void> }>(open: () => Promise<T>) => {
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
      opened: await current,
      reopen: async () => {
        const old = current;
        current = undefined;
        await (await old?.catch(() => undefined))?.close?.();
      },
    };
  };

  const steps = flow.steps.map(async (item): Promise<StepPart> => {
    const { definition, config } = pluginOf(item, plugins.steps);
    const { use, opened, reopen } = await session<OpenStep>(async () => definition.open(config, { ...context, scope }));
    let live: OpenStep | undefined = opened;
    return {
      name: item.name,
      run: (message, attempt) =>
        live
          ? live.run(message, attempt)
          : use().then((step) => {
              live = step;
              return step.run(message, attempt);
            }),
      async reopen() {
        live = undefined;
        await reopen();
      },
    };
  });

  const sinks = flow.sinks.map(async (item): Promise<SinkPart> => {
    const { definition, config } = pluginOf(item, plugins.sinks);
    const connection = connectionOf(flow, config, plugins.connections);
    const { use, reopen } = await session<OpenSink>(() => definition.open(config, { ...context, connection }));
    return {
      name: item.name,
      holds: predicate(item.name, item.when, scope),
      send: async (message, attempt) => (await use()).send(message, attempt),
      reopen,
    };
  });

  return {
    steps: await Promise.all(steps),
    sinks: await Promise.all(sinks),
    async close() {
      await Promise.allSettled(closers.map((close) => close()));
    },
  };
};

/** Settings of the Connection that a sink's `connectionRef` names, parsed by the schema of its system. */
const connectionOf = (flow: Flow, config: unknown, definitions: ReadonlyMap<string, ConnectionDefinition>): unknown => {
  const name = (config as { connectionRef?: { name?: string } }).connectionRef?.name;
  if (name === undefined) return undefined;
  for (const [system, settings] of Object.entries(flow.connections[name] ?? {})) {
    const definition = definitions.get(system);
    if (definition) return definition.config.parse(settings);
  }
  throw new Error(`the flow has no Connection "${name}" of a system that this version knows`);
};

/** `body` is read only by expressions that use it. */
const scopeFor =
  ({ tenant, integration }: Flow) =>
  (message: Message, attempt: Attempt): ExpressionScope => ({
    get body() {
      return message.body.value();
    },
    headers: message.headers,
    attrs: message.attrs,
    vars: {},
    error: null,
    meta: { tenant, integration, attempt: attempt.number },
  });

const predicate = (sink: string, when: string | undefined, scope: ReturnType<typeof scopeFor>): SinkPart['holds'] => {
  if (when === undefined) return () => true;
  const parsed = parseExpression(when);
  if (!parsed.ok) throw new Error(`sink "${sink}": when: ${parsed.message}`);
  return (message, attempt) => {
    const holds = parsed.expression.evaluate(scope(message, attempt));
    if (typeof holds === 'boolean') return holds;
    throw reject(
      'NotABoolean',
      `when of sink "${sink}" must be true or false, not ${holds === null ? 'null' : typeof holds}`,
    );
  };
};
