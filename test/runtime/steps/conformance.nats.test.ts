import { catalog } from '../../../runtime/catalog.ts';
import type { StepDefinition } from '../../../runtime/connector.ts';
import { filter } from '../../build.ts';
import { stepConformance } from '../../conformance/step.ts';

const step = (name: string) => catalog.steps.get(name) as StepDefinition;
const passes = (index: number) => ({ no: index, lines: [{ sku: 'a', qty: 1 }] });
const noExpression = ['what is no expression', { when: 'body.no +' }] as const;

stepConformance('filter', {
  definition: step('filter'),
  config: { when: 'body.no >= 0' },
  bad: [['nothing', {}], noExpression],
  passes,
});

stepConformance('map', {
  definition: step('map'),
  config: { body: { id: '=body.no' }, headers: { 'x-no': '=body.no' } },
  bad: [
    ['no body', {}],
    ['what is no expression', { body: '=body.no +' }],
  ],
  passes,
});

stepConformance('set', {
  definition: step('set'),
  config: { body: { seen: true, lines: '=body.lines.size()' } },
  bad: [
    ['what is no expression', { body: { a: '=body.no +' } }],
    ['a header name with capitals', { headers: { 'X-A': 'a' } }],
  ],
  passes,
});

stepConformance('choice', {
  definition: step('choice'),
  config: { cases: [{ when: 'body.no % 2 == 0', flow: 'even' }] },
  bad: [
    ['no case', { cases: [] }],
    ['what is no expression', { cases: [{ when: 'body.no +', flow: 'even' }] }],
  ],
  flows: [{ name: 'even', steps: [filter('true', 'kept')] }],
  passes,
});

stepConformance('parallel', {
  definition: step('parallel'),
  config: { branches: [{ name: 'one', flow: 'kept' }], timeout: '5s' },
  bad: [
    ['no branch', { branches: [] }],
    ['a name twice', { branches: ['kept', 'kept'].map((flow) => ({ name: 'one', flow })) }],
    ['a time-out that is none', { branches: [{ name: 'one', flow: 'kept' }], timeout: 'soon' }],
  ],
  flows: [{ name: 'kept', steps: [filter('true', 'kept')] }],
  passes,
});

stepConformance('validate', {
  definition: step('validate'),
  config: { schema: { type: 'object', required: ['no'] } },
  bad: [
    ['no schema', {}],
    ['a schema that is a list', { schema: [] }],
  ],
  passes,
});

stepConformance('dedupe', {
  definition: step('dedupe'),
  config: { key: 'body.no', window: '1h' },
  bad: [
    ['no window', { key: 'body.no' }],
    ['what is no expression', { key: 'body.no +', window: '1h' }],
  ],
  passes,
});
