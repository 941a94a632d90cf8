import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { bundle } from '../../build.ts';
import { compiledEngine } from '../../runtime/expr/threads/engine.ts';
import { writeInput } from '../../runtime/expr/threads/input.ts';

/* Programs of threads as the images have them: other tests start them from their sources, or from bundles of the tests. */
const input = writeInput({ headers: {}, attrs: {}, vars: {}, meta: {} }, '{"n":1}');

const answerOf = async (file: string, data: object): Promise<unknown> => {
  const thread = new Worker(file, {
    workerData: { data, progress: new Int32Array(new SharedArrayBuffer(4)) },
    env: {},
    execArgv: [],
  });
  try {
    return await new Promise((resolve, reject) => {
      thread.once('message', resolve).once('error', reject);
      thread.postMessage([input], []);
    });
  } finally {
    await thread.terminate();
  }
};

it.each([
  ['runtime', 'cjs'],
  ['operator', 'mjs'],
] as const)('those of the image %s answer', async (image, ending) => {
  const folder = await bundle(image);
  const engine = await compiledEngine();
  const asked = (name: string, data: object) => answerOf(join(folder, `${name}.${ending}`), data);
  expect(await asked('script', { engine, code: 'message.body.n += 1; return message;' })).toEqual([
    { value: '[{"body":"{\\"n\\":2}","headers":{},"vars":{}}]' },
  ]);
  expect(await asked('jsonata', { engine, expression: 'body.n + 2' })).toEqual([{ value: '3' }]);
  expect(await asked('liquid', { text: '{{ body.n }}', escape: 'None' })).toEqual([{ value: '1' }]);
});
