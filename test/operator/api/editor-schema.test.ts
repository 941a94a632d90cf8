import fastify from 'fastify';
import { expect, test } from 'vitest';
import { editorSchema } from '../../../operator/api/editor-schema.ts';
import { accepted } from './accepted.ts';
import { refused } from './refused.ts';

/* The schema as an editor would use it: by a JSON Schema validator (the one in fastify), strictly compiled. */

const server = fastify({
  ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, strictTypes: false } },
});
server.post('/', { schema: { body: editorSchema() } }, () => '');
const isTaken = async (object: unknown) =>
  (await server.inject({ method: 'POST', url: '/', payload: object as object })).statusCode === 200;
const isIntegration = ({ object }: { object: unknown }) => (object as { kind: string }).kind === 'Integration';

test.each(accepted.filter(isIntegration))('an editor takes $why', async ({ object }) => {
  expect(await isTaken(object)).toBe(true);
});

/** What compares fields with each other, or how long durations are, is left to the API server and `kanava check`. */
const acrossFields =
  /ordering|partitions|backoff|Replicas|replicas|at least 1Mi|at most 60s|at most 720h|own name|more than largest/;
const byForm = refused.filter(isIntegration).filter(({ text, rule, why }) => {
  if (rule === 'FieldValueDuplicate' || why.includes('no time at all')) return false;
  return text === undefined || !acrossFields.test(text);
});

test.each(byForm)('an editor refuses: $why', async ({ object }) => {
  expect(await isTaken(object)).toBe(false);
});

test('most of what the API server refuses is seen in the editor', () => {
  expect(byForm.length).toBeGreaterThan(20);
});
