import type { OpenStep, StepDefinition } from '../../../runtime/connector.ts';
import type { JsonValue, Message } from '../../../runtime/message.ts';
import { openStep } from '../../conformance/step.ts';
import { attempt, messageOf } from './harness.ts';

/* Steps whose language runs in a thread: open one, give it bodies, close it. */
export const withStep = async <T>(
  definition: StepDefinition,
  config: unknown,
  use: (step: OpenStep) => Promise<T>,
): Promise<T> => {
  const step = await openStep({ definition, config });
  try {
    return await use(step);
  } finally {
    await step.close?.();
  }
};

/** The text of the one message that comes out. */
export const textOf = async (step: OpenStep, body: JsonValue): Promise<string> =>
  Buffer.from(((await step.run(messageOf(body), attempt)) as Message).body.bytes()).toString();

/** `reject TooSlow`, or what it gave. */
export const said = async (step: OpenStep, body: JsonValue): Promise<string> => {
  try {
    return `gave ${await textOf(step, body)}`;
  } catch (error) {
    const { instruction, code } = error as { readonly instruction?: string; readonly code?: string };
    return `${instruction} ${code}`;
  }
};
