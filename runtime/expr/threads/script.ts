import { scriptStart } from '../script.ts';
import { openMachine } from './quickjs.ts';
import { serve } from './serve.ts';

/*
 * The program of a thread in which a script runs; it begins on the first line, so that lines in errors are its own. What goes back is checked
 * here for people, and again by the step for safety.
 */
const program = (code: string) => `(() => { const script = (function (message) { ${scriptStart}${code}
});
  return (text) => {
    const wrong = (text) => Object.assign(new Error(text), { name: '', stack: '' });
    const fields = ['body', 'headers', 'vars', 'attrs', 'meta'];
    const plain = (key, value) => {
      if (typeof value === 'number' && !Number.isFinite(value)) throw wrong((key || 'the body') + ' is ' + value + ', which is no JSON');
      return value;
    };
    const frozen = (value) => {
      if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
      return value;
    };
    const { body, headers, vars, attrs, meta } = JSON.parse(text);
    const message = { body: JSON.parse(body), headers, vars, attrs: frozen(attrs), meta: frozen(meta) };
    const given = (item) => {
      if (typeof item !== 'object' || item === null || Array.isArray(item) || typeof item.then === 'function')
        throw wrong('return a message, a list of messages or nothing; a body goes into a message: {body}');
      const unknown = Object.keys(item).find((name) => !fields.includes(name));
      if (unknown !== undefined) throw wrong('a message has no field ' + unknown + '; a body goes into a message: {body}');
      for (const name of ['attrs', 'meta'])
        if (name in item && item[name] !== message[name]) throw wrong(name + ' of a message cannot be changed');
      const { body, headers, vars } = item;
      return { body: JSON.stringify(body, plain), headers, vars };
    };
    const made = script(message);
    if (made === undefined || made === null) return '[]';
    return JSON.stringify((Array.isArray(made) ? made : [made]).map(given), plain);
  };
})();
`;

void serve<{ engine: WebAssembly.Module; code: string }>(async ({ engine, code }) => {
  const machine = await openMachine(program(code), { engine, keep: false, file: 'script' });
  return machine.run;
});
