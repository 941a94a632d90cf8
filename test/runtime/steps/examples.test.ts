import { describe, expect, it } from 'vitest';
import { catalog } from '../../../runtime/catalog.ts';
import type { ExampleMessage, StepExample, StepResult } from '../../../runtime/connector.ts';
import type { JsonValue, Message } from '../../../runtime/message.ts';
import { openStep } from '../../conformance/step.ts';
import { attempt, messageOf } from './harness.ts';

/* What the pages of the steps show is what they do. */
const messageFrom = (given: ExampleMessage): Message =>
  messageOf('text' in given ? Buffer.from(given.text) : (given.body as JsonValue), { headers: given.headers ?? {} });
const listOf = (result: StepResult): readonly Message[] =>
  result === undefined ? [] : 'attrs' in result ? [result] : [...result];
const shown = (made: Message, like: ExampleMessage | undefined): ExampleMessage => {
  const bytes = Buffer.from(made.body.bytes()).toString();
  const body = like !== undefined && 'text' in like ? { text: bytes } : { body: JSON.parse(bytes) as JsonValue };
  return { ...body, ...(Object.keys(made.headers).length > 0 ? { headers: made.headers } : {}) };
};

const kindOf = (example: StepExample) =>
  'refused' in example ? 'bad config' : 'rejects' in example ? 'bad input' : 'works';

const steps = [...catalog.steps.values()].flatMap((definition) =>
  definition.examples ? [{ definition, examples: definition.examples() }] : [],
);
describe.each(steps)('the examples of $definition.name', ({ definition, examples }) => {
  it.each(examples)('$why', async (example) => {
    const { config } = example;
    if ('refused' in example) {
      const { success, error } = definition.config.safeParse(config);
      expect(success).toBe(false);
      expect(error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n')).toContain(
        example.refused,
      );
      return;
    }
    const step = await openStep({ definition, config });
    const running = async () => listOf(await step.run(messageFrom(example.given), attempt));
    if ('rejects' in example) {
      await expect(running()).rejects.toMatchObject({ instruction: 'reject', code: example.rejects });
    } else {
      const made = await running();
      expect(made.map((message, index) => shown(message, example.becomes[index]))).toEqual(example.becomes);
    }
  });

  it('are of every kind: what works and an edge of it, bad input where there is some, a bad configuration', () => {
    expect(examples.length).toBeGreaterThanOrEqual(4);
    const kinds = examples.map(kindOf);
    expect(kinds.filter((kind) => kind === 'works').length).toBeGreaterThanOrEqual(2);
    expect(kinds).toContain('bad config');
  });
});

it('there are such examples', () => expect(steps.length).toBeGreaterThan(0));
