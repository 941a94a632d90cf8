import { createLiquid } from './liquid.ts';
import { serveSandbox } from './sandbox-thread.ts';

/* The program of the thread in which a template runs. */
const mostCharacters = 1024 * 1024;

serveSandbox<{ text: string; escape: 'None' | 'Html' }>(({ text, escape }) => {
  const liquid = createLiquid(escape);
  const template = liquid.parse(text);
  return (input) => {
    const { body, ...rest } = JSON.parse(input) as { body: string };
    const made = String(liquid.renderSync(template, { ...rest, body: JSON.parse(body) as unknown }));
    if (made.length > mostCharacters) throw new Error(`it makes more than ${mostCharacters} characters`);
    return made;
  };
});
