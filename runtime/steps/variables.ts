import type { JsonValue, Message } from '../message.ts';
import { pattern } from '../schema.ts';

/* Variables are what steps keep beside the body for later ones, the same for every step that does. */
export const variableName = (description: string) => pattern(description, /^[a-z][A-Za-z0-9_]*$/, 40);

/** The message with one more variable. */
export const withVariable = (message: Message, name: string, value: JsonValue): Message => ({
  ...message,
  vars: { ...message.vars, [name]: value },
});
