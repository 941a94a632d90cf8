import { Liquid } from 'liquidjs';

/*
 * Liquid templates. They are hostile: nothing is read from files, nothing is seen of an object but its own fields, and they run only in a
 * thread that can be ended (liquid-thread.ts). Operator and CLI parse them, and never run them.
 */
const mostNodes = 100_000;
/** Characters and items that one rendering may make on its way. */
const mostMemory = 20_000_000;
const readsFiles = ['include', 'render', 'layout', 'block'];

export const createLiquid = (escape: 'None' | 'Html'): Liquid => {
  const liquid = new Liquid({
    ownPropertyOnly: true,
    strictFilters: true,
    strictVariables: true,
    lenientIf: true,
    templates: {},
    timezoneOffset: 0,
    parseLimit: mostNodes,
    memoryLimit: mostMemory,
    ...(escape === 'Html' ? { outputEscape: 'escape' as const } : {}),
  });
  for (const tag of readsFiles) delete liquid.tags[tag];
  return liquid;
};

/** Why it is no template, with line and column; nothing when it is one. */
export const templateProblem = (text: string): string | undefined => {
  try {
    createLiquid('None').parse(text);
    return undefined;
  } catch (error) {
    return `not a Liquid template: ${(error as Error).message}`;
  }
};
