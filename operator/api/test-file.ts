import { z } from 'zod';
import { flag, integer, label, listOf, shape, text, textMap } from '../../runtime/schema.ts';

/*
 * A file of `kanava test`: messages that are given, and what shall come of them. Steps, sinks and delivery are the real ones; Connections are
 * servers of the test that answer as it says, and time passes by itself.
 */
const mostText = 1024 * 1024;
const anything = (description: string) =>
  z.unknown().meta({ description, 'x-kubernetes-preserve-unknown-fields': true });
const names = (description: string) => textMap(description, 64, 64 * 1024);
const body = {
  body: anything('Body as JSON.').optional(),
  text: z.string().max(mostText).meta({ description: 'Body as text, instead of body.' }).optional(),
};

const answer = shape('An answer of a Connection.', {
  status: integer('HTTP status.', 100, 599),
  ...body,
  headers: names('Headers of the answer.').optional(),
});
const byName = <T extends z.ZodType>(description: string, value: T) =>
  z.record(z.string().max(253), value).meta({ description, maxProperties: 64 });
const mocks = byName(
  'Answers of Connections by name, in order; the last one goes on. Others answer 200.',
  listOf('Answers.', answer, 1, 1000),
);

const given = shape('A message that comes to a source.', {
  source: label('Name of the source; default: the first.').optional(),
  attrs: names('CloudEvents attributes, such as id and type.').optional(),
  headers: names('Headers that the source keeps.').optional(),
  ...body,
  file: text('File with the body, beside this file.', 1024).optional(),
});
const message = shape('A message, in the order of arrival.', {
  ...body,
  attrs: names('Attributes; those that are not listed do not matter.').optional(),
  headers: names('Headers; those that are not listed do not matter.').optional(),
});
const call = shape('A request to a Connection.', {
  method: text('HTTP method.', 16).optional(),
  path: text('Path with query.', 4096).optional(),
  headers: names('Headers, in lower case; others do not matter.').optional(),
  ...body,
});
const letter = shape('A dead letter.', {
  part: label('Step or sink that failed.'),
  code: text('Code of the failure.', 253).optional(),
  message: text('Part of its text.', 1024).optional(),
  attempts: integer('Attempts that were made.', 1, 1000).optional(),
});

const reply = shape('An answer of the flow.', {
  ...body,
  attrs: names('Attributes; those that are not listed do not matter.').optional(),
  headers: names('Headers; those that are not listed do not matter.').optional(),
  nothing: flag('True: the steps left nothing to answer with.').optional(),
  failed: text('Code, when it failed.', 253).optional(),
});

const expectation = shape('What shall come of it.', {
  sinks: byName('What sinks got, by name; all of it.', listOf('Messages.', message, 0, 1000)).optional(),
  calls: byName('What Connections were asked, by name; all of it.', listOf('Requests.', call, 0, 1000)).optional(),
  deadLetters: listOf('All dead letters; default: none.', letter, 0, 1000).optional(),
  answers: listOf('All answers, of sources with reply.', reply, 0, 1000).optional(),
  paused: shape('Configuration or credentials are wrong.', {
    part: label('Step or sink.'),
    code: text('Code of the failure.', 253),
  }).optional(),
});

export const testFile = shape('Tests of one Integration.', {
  integration: label('Name of the Integration; default: the only one.').optional(),
  files: listOf('Files with objects; default: all beside it.', text('File or folder.', 1024), 1, 64).optional(),
  secrets: byName('Values of Secrets: {name: {key: value}}; default: any.', names('Values by key.')).optional(),
  mocks: mocks.optional(),
  cases: listOf(
    'What is tried.',
    shape('One case; nothing is left over from the one before.', {
      name: text('A sentence that says what holds.', 253),
      given: listOf('Messages, one after the other.', given, 1, 1000),
      mocks: mocks.optional(),
      expect: expectation,
    }),
    1,
    10_000,
  ),
});
export type TestFile = z.infer<typeof testFile>;
export type TestCase = TestFile['cases'][number];
