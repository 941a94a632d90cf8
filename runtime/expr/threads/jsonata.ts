import { jsonataSource } from './library-sources.ts';
import { linearEngine } from './linear-engine.ts';
import { openMachine } from './quickjs.ts';
import { serve } from './serve.ts';

/** Before the first message, whose time it is not. */
const mayUseRegExps = (expression: string): boolean => /\/|\$eval/.test(expression);

/* The program of a thread in which a JSONata expression runs: the library itself is in the machine, because it has let expressions out. */
const program = (expression: string) => `
  ${jsonataSource};
  (() => {
    const RegexEngine = ${linearEngine};
    if (${mayUseRegExps(expression)}) RegexEngine.ready();
    const expression = jsonata(${JSON.stringify(expression)}, { RegexEngine });
    const wrong = (text) => Object.assign(new Error(text), { name: '' });
    const plain = (key, item) => {
      if (typeof item === 'function' || (item && item._jsonata_lambda)) throw wrong('the result holds a function');
      if (typeof item === 'number' && !Number.isFinite(item)) throw wrong('the result holds ' + item + ', which is no JSON');
      return item;
    };
    return (text) => {
      const { body, ...rest } = JSON.parse(text);
      return expression.evaluate({ ...rest, body: JSON.parse(body) }).then((value) => JSON.stringify(value, plain) ?? '');
    };
  })();
`;

void serve<{ engine: WebAssembly.Module; expression: string }>(async ({ engine, expression }) => {
  const machine = await openMachine(program(expression), { engine, keep: true, file: 'library' });
  return machine.run;
});
