import { defineStep } from '../connector.ts';
import { shape } from '../schema.ts';

const config = shape(
  'What was done before it is not done again.',
  {},
  {
    doc: 'It stands in spec.steps, not in a flow. The message goes into the inbox of the Integration as the steps before have made it, and is acknowledged there: from then on it is a message of its own, which is tried again, becomes a dead letter and is replayed from behind this step. Variables go along, up to 16 KiB. Steps before it run again only when they failed, or when their worker died before the message was in the inbox and acknowledged. Of a message that was split, each part is one of its own from here on, with its own time and attempts.',
  },
);

/** How it survives a full inbox is told in checkpoint-run.ts. */
export const checkpointStep = defineStep<Record<string, never>>({
  name: 'checkpoint',
  summary: 'What was done before it is not done again.',
  config,
  state: 'kept',
  resumes: true,
  async open(_settings, context) {
    const { openCheckpoint } = await import('./checkpoint-run.ts');
    return openCheckpoint(context);
  },
  examples: () => [
    {
      why: 'behind a call that costs: a sink that fails does not repeat it',
      config: {},
      givenAll: [{ body: { no: 7 }, vars: { score: 0.7 } }],
      becomes: [{ body: { no: 7 }, vars: { score: 0.7 } }],
    },
    {
      why: 'what is no JSON, with the headers that were kept',
      config: {},
      givenAll: [{ text: 'a;b\r\n', headers: { 'x-batch': '3' } }],
      becomes: [{ text: 'a;b\r\n', headers: { 'x-batch': '3' } }],
    },
    {
      why: 'several messages, each on its own',
      config: {},
      givenAll: [{ body: 1 }, { body: 2 }],
      becomes: [{ body: 1 }, { body: 2 }],
    },
    { why: 'there is nothing to be set', config: { key: 'body.no' }, refused: 'key' },
  ],
});
