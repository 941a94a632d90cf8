import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { operatorEnv, operatorFlags, runtimeFlags } from '../../build.ts';

/* Node's flags are in images and in the chart, which overrides the image; benches and tests start with those of build.ts. */
const read = (file: string) => readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8');
const quoted = (flags: readonly string[]) => flags.map((flag) => `"${flag}"`).join(', ');

test.each([
  ['images/operator/Dockerfile', `["node", ${quoted(operatorFlags)}, "/app/operator.mjs"]`],
  ['charts/kanava/templates/operator/deployment.yaml', `[node, ${operatorFlags.join(', ')}, /app/operator.mjs]`],
  ['images/runtime/Dockerfile', `["node", ${quoted(runtimeFlags)}, "/app/runtime.cjs"]`],
])('%s starts with the flags that are measured', (file, command) => {
  expect(read(file)).toContain(command);
});

test("the operator's image has the settings of the C library that are measured", () => {
  const settings = Object.entries(operatorEnv).map(([name, value]) => `${name}=${value}`);
  expect(read('images/operator/Dockerfile')).toContain(`ENV ${settings.join(' ')}\n`);
});
