/** Whether a CEL expression may look at the body. By its text: one that only seems to costs a body that is loaded in vain. */
export const mayLookAtBody = (source: string): boolean => /\bbody\b/.test(source);
