import type { ExpressionScope, Log, StepContext, StepDefinition, StepResult } from '../../../runtime/connector.ts';
import { Body, type JsonValue, type Message } from '../../../runtime/message.ts';
import { attemptOf } from '../attempt.ts';

/* One step alone, with the variables that the engine gives its expressions. */
export const attempt = attemptOf();

export const messageOf = (body: JsonValue | Uint8Array, changed: Partial<Message> = {}): Message => ({
  attrs: { id: '1', source: '/shop', type: 'order', specversion: '1.0' },
  headers: {},
  body: body instanceof Uint8Array ? Body.fromBytes(body) : Body.fromBytes(Buffer.from(JSON.stringify(body))),
  ...changed,
});

export const scope = ({ attrs, headers, body, vars = {} }: Message): ExpressionScope => ({
  attrs,
  headers,
  get body() {
    return body.value();
  },
  vars,
  error: null,
  meta: {},
});

/** Nobody reads it. */
export const silent: Log = { info() {}, warn() {}, error() {}, debug() {} };

export const openStep = async (definition: StepDefinition, config: unknown, context: Partial<StepContext> = {}) => {
  const step = await definition.open(definition.config.parse(config), {
    scope,
    log: silent,
    now: Date.now,
    ...context,
  } as StepContext);
  return async (message: Message): Promise<StepResult> => step.run(message, attempt);
};
