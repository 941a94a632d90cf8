import { z } from 'zod';
import { flag, freeObject, integer, label, listOf, shape, text, textMap } from '../../runtime/schema.ts';

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

const values = (description: string) => freeObject(description);
const given = shape('A message that comes to a source.', {
  integration: label('To one of `with`; default: to the one that is tested.').optional(),
  source: label('Name of the source; default: the first.').optional(),
  attrs: names('CloudEvents attributes, such as id and type.').optional(),
  headers: names('Headers that the source keeps; of a request: its own.').optional(),
  ...body,
  file: text('File with the body, beside this file.', 1024).optional(),
  vars: values('Of a step or flow: what earlier steps kept.').optional(),
  request: shape('Sent as an HTTP request, to the listener.', {
    method: text('HTTP method; default: the first of the source.', 16).optional(),
    path: text('Path with query; default: that of the source.', 4096).optional(),
    login: flag('True: with the login that the source asks for.', {
      doc: 'Made of the secrets of the test: a token, a password, or the signature of the body. Other logins are headers.',
    }).optional(),
  }).optional(),
  put: shape('Put as a file into the folder of a Connection.', {
    connection: text('Name of the Connection, of kind file.'),
    name: text('Path of the file, below the folder of the Connection.', 1024),
  }).optional(),
});
const message = shape('A message, in the order of arrival.', {
  ...body,
  attrs: names('Attributes; those that are not listed do not matter.').optional(),
  headers: names('Headers; those that are not listed do not matter.').optional(),
});
const made = message.extend({
  vars: values('What is kept for later steps; those that are not listed do not matter.').optional(),
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

const response = shape('A response of the listener.', {
  status: integer('HTTP status.', 100, 599).optional(),
  headers: names('Headers, in lower case; others do not matter.').optional(),
  ...body,
});
const file = shape('A file.', { name: text('Path, below the folder of the Connection.', 1024), ...body });

/** Of each Integration. */
const own = {
  sinks: byName('What sinks got, by name; all of it.', listOf('Messages.', message, 0, 1000)).optional(),
  deadLetters: listOf('All dead letters; default: none.', letter, 0, 1000).optional(),
  paused: shape('Configuration or credentials are wrong.', {
    part: label('Step or sink.'),
    code: text('Code of the failure.', 253),
  }).optional(),
};
const expectation = shape('What shall come of it.', {
  ...own,
  becomes: listOf('What comes out of the step or flow; all of it.', made, 0, 1000).optional(),
  calls: byName('What Connections were asked, by name; all of it.', listOf('Requests.', call, 0, 1000)).optional(),
  answers: listOf('All answers, of sources with reply.', reply, 0, 1000).optional(),
  responses: listOf('All responses to requests; default: each is 2xx.', response, 0, 1000).optional(),
  events: listOf('All that was published on the bus.', message, 0, 1000).optional(),
  files: byName('Files of Connections, by name; all of them.', listOf('Files, by name.', file, 0, 1000)).optional(),
  with: byName('Of the Integrations beside it.', shape('Of one of them.', own)).optional(),
});

const form = shape('Tests of one Integration, or of a part of one.', {
  integration: label('Name of the Integration; default: the only one.').optional(),
  with: listOf('Integrations that run beside it, on the same bus.', label('Its name.'), 1, 32).optional(),
  part: label('Only this step or flow of it is tested.').optional(),
  step: values('Only a step of this configuration is tested.').optional(),
  flows: byName('Steps of the flows that the step names.', listOf('Steps.', values('One step.'), 1, 32)).optional(),
  refused: text('A part of what is said of the step; it runs no case.', 1024).optional(),
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
  ).optional(),
});

/** What does not go together, or names what is not there. */
export const testFile = form.check(({ value, issues }) => {
  const say = (path: (string | number)[], message: string) =>
    issues.push({ code: 'custom', message, input: value, path, continue: true });
  const { integration, part, step, cases = [], refused } = value;
  if (step) for (const word of ['integration', 'with', 'part'] as const) if (value[word]) say([word], notWith('step'));
  if (part !== undefined && value.with) say(['with'], notWith('part'));
  if (!step) for (const word of ['flows', 'refused'] as const) if (value[word]) say([word], 'is for tests of a step');
  if ((value.cases === undefined) === (refused === undefined))
    say([], step ? 'set one of cases and refused' : 'cases is required: what is tried');
  const beside = new Set(value.with);
  const isPart = step !== undefined || part !== undefined;
  for (const [index, { given: all, expect }] of cases.entries()) {
    const at = (...path: (string | number)[]) => ['cases', index, ...path];
    const known = (name: string, ...path: (string | number)[]) =>
      beside.has(name) || say(at(...path), `is not in with (${[...beside].join(', ') || 'there is none'})`);
    for (const name of Object.keys(expect.with ?? {})) known(name, 'expect', 'with', name);
    for (const [number, one] of all.entries()) {
      if (one.integration !== undefined && one.integration !== integration)
        known(one.integration, 'given', number, 'integration');
      if (one.request && one.put) say(at('given', number, 'put'), notWith('request'));
      if (one.put && contents(one) === 0) say(at('given', number), 'put needs body, text or file');
      if (contents(one) > 1) say(at('given', number), 'keep one of body, text and file');
      for (const word of isPart ? (['source', 'request', 'put'] as const) : (['vars'] as const))
        if (one[word] !== undefined) say(at('given', number, word), isPart ? ofWhole : ofParts);
    }
    for (const word of isPart ? (['sinks', 'answers', 'responses'] as const) : (['becomes'] as const))
      if (expect[word]) say(at('expect', word), isPart ? ofWhole : ofParts);
  }
});
const notWith = (word: string): string => `cannot stand beside ${word}: keep one`;
const ofWhole = 'is for tests of a whole Integration';
const ofParts = 'is for tests of a step or flow: name it with step or part';
const contents = (one: z.infer<typeof given>): number =>
  [one.body, one.text, one.file].filter((each) => each !== undefined).length;
export type TestFile = z.infer<typeof testFile>;
export type TestCase = NonNullable<TestFile['cases']>[number];
export type GivenMessage = TestCase['given'][number];
export type Expectation = TestCase['expect'];
