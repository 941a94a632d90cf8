import { createLiquid } from '../liquid.ts';
import { readInput } from './input.ts';
import { serve } from './serve.ts';

/* The program of a thread in which a template runs. */
void serve<{ text: string; escape: 'None' | 'Html' }>(({ text, escape }) => {
  const liquid = createLiquid(escape);
  const template = liquid.parse(text);
  return (input) => String(liquid.renderSync(template, readInput(input)));
});
