import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseIntegration } from '../../../operator/api/parse.ts';
import { choice, filter, integration } from '../../build.ts';
import { type CrdServer, startCrdServer } from './crd-server.ts';

/*
 * Names of flows. The API server says only in which list the step is (the rule stands on `spec`, where the flows are); the parser says the
 * same of the very place.
 */
const flow = (name: string, ...steps: unknown[]) => ({
  name,
  steps: (steps.length ? steps : [filter('true', name)]) as never,
});
const known = [flow('bulk'), flow('single')];

const unknown = [
  {
    why: 'in the only case, and there are no flows',
    object: integration({ steps: [choice([['true', 'bulk']])] }),
    path: 'spec.steps[0].choice.cases[0].flow',
  },
  {
    why: 'flows are there, but no one is named so',
    object: integration({
      steps: [
        filter('true'),
        choice([
          ['true', 'bulk'],
          ['true', 'bulc'],
        ]),
      ],
      flows: known,
    }),
    path: 'spec.steps[1].choice.cases[1].flow',
  },
  {
    why: 'where no case holds',
    object: integration({ steps: [choice([['true', 'bulk']], 'rest')], flows: known }),
    path: 'spec.steps[0].choice.otherwise',
  },
  {
    why: 'in a flow',
    object: integration({
      flows: [
        flow(
          'bulk',
          choice([
            ['true', 'single'],
            ['true', 'none'],
          ]),
        ),
        flow('single'),
      ],
    }),
    path: 'spec.flows[0].steps[0].choice.cases[1].flow',
  },
  {
    why: 'where no case holds, in a flow',
    object: integration({
      flows: [flow('bulk'), flow('single', filter('true', 'x'), choice([['true', 'bulk']], 'none'))],
    }),
    path: 'spec.flows[1].steps[1].choice.otherwise',
  },
];

let server: CrdServer;
beforeAll(async () => {
  server = await startCrdServer();
});
afterAll(() => server?.stop());

describe('a flow that is not there is refused', () => {
  test.each(unknown)('$why', async ({ object, path }) => {
    const { causes } = await server.check(object);
    const parsed = parseIntegration(object);
    expect(parsed).toMatchObject({ ok: false, findings: [{ reason: 'UnknownFlow', path }] });
    const [finding] = parsed.ok ? [] : parsed.findings;
    expect(causes).toMatchObject([{ field: path.split('[')[0], reason: finding?.rule }]);
    expect(causes[0]?.message.endsWith(`: ${finding?.message}`), causes[0]?.message).toBe(true);
  });
});

test('as many flows, steps and cases as there may be are looked through', async () => {
  const cases = Array.from({ length: 16 }, (_, at) => ['true', `flow-${at === 15 ? 15 : 14}`] as const);
  const flows = Array.from({ length: 16 }, (_, at) =>
    flow(
      `flow-${at}`,
      ...Array.from({ length: 32 }, (_, step) =>
        at < 14 ? choice(cases, 'flow-15', `s-${at}-${step}`) : filter('true', `s-${at}-${step}`),
      ),
    ),
  );
  const steps = Array.from({ length: 64 }, (_, step) => choice(cases, undefined, `s-${step}`));
  const answer = await server.check(integration({ steps, flows }));
  expect([answer.status, answer.message]).toEqual([201, '']);
});
