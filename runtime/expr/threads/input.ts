/*
 * What a program gets of a message, as JSON. The body in it is a text of its own: what is nested too deeply for one thread to hand over can
 * still be read by the other.
 */
export interface Input {
  readonly headers: unknown;
  readonly attrs: unknown;
  readonly vars: unknown;
  readonly meta: unknown;
  readonly body: unknown;
}

export const writeInput = ({ headers, attrs, vars, meta }: Omit<Input, 'body'>, body: string): string =>
  JSON.stringify({ headers, attrs, vars, meta, body });

export const readInput = (text: string): Input => {
  const { body, ...rest } = JSON.parse(text) as Input & { readonly body: string };
  return { ...rest, body: JSON.parse(body) as unknown };
};
