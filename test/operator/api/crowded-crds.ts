import type { z } from 'zod';
import { catalog } from '../../../runtime/catalog.ts';
import { cel } from '../../../runtime/expr/fields.ts';
import {
  choiceOf,
  connectionRef,
  duration,
  flag,
  freeObject,
  integer,
  listOf,
  oneOf,
  quantity,
  secretKeyRef,
  shape,
  text,
  textMap,
} from '../../../runtime/schema.ts';

/* Prints the CRDs of a catalogue of 30 sources, 30 sinks and 35 steps. A program of its own: it fills the one catalogue that there is. */
const ordinary = (system: string) =>
  shape('What an ordinary connector has.', {
    connectionRef: connectionRef(system),
    resource: text('Queue, topic, table or folder.', 1024),
    filter: cel('Only what it holds for.').optional(),
    mode: choiceOf('How it is read.', ['First', 'Second', 'Third']).optional(),
    format: choiceOf('How bytes are read.', ['Json', 'Text', 'Binary', 'Csv', 'Xml']).optional(),
    poll: duration('Time between two polls.').optional(),
    batchSize: integer('Most messages of one request.', 1, 1000).optional(),
    headers: textMap('Headers that are set.', 32, 1024).optional(),
  });
const rich = (system: string) =>
  ordinary(system).extend({
    auth: oneOf('auth', 'Who may come in.', {
      bearer: secretKeyRef('Token.'),
      basic: secretKeyRef('Password.'),
    }).optional(),
    timeout: duration('Longest wait.').optional(),
    idleAfter: duration('Longest silence.').optional(),
    maxBytes: quantity('Largest message.').optional(),
    names: listOf('Names that are kept.', text('Name.', 253), 0, 32).optional(),
    options: freeObject('Options of the other side.').optional(),
    exact: flag('Compares exactly.').optional(),
  });

const step = () =>
  shape('What an ordinary step has.', {
    when: cel('Only what it holds for.').optional(),
    into: text('Where the result goes.', 256),
    onError: choiceOf('What happens on an error.', ['Retry', 'Reject', 'Continue']).optional(),
    timeout: duration('Longest time.').optional(),
    most: integer('Most items.', 1, 100000).optional(),
  });

const fill = (
  map: ReadonlyMap<string, unknown>,
  prefix: string,
  count: number,
  configOf: (name: string, index: number) => z.ZodType,
) => {
  const open = map as Map<string, unknown>;
  const [first] = [...map.values()] as [object];
  for (let index = map.size; index < count; index++) {
    const name = `${prefix}${index}`;
    open.set(name, { ...first, name, summary: 'One that is to come.', config: configOf(name, index) });
  }
};

const connector = (name: string, index: number) => (index % 4 === 0 ? rich(name) : ordinary(name));
fill(catalog.sources, 'source', 30, connector);
fill(catalog.sinks, 'sink', 30, connector);
fill(catalog.steps, 'step', 35, step);
const { crdOf, definitions } = await import('../../../operator/api/crds.ts');
process.stdout.write(JSON.stringify(definitions.map(crdOf)));
