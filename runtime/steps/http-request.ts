import type { z } from 'zod';
import type { ExpressionScope, StepContext } from '../connector.ts';
import type { HttpConnection } from '../connectors/http.ts';
import { type Answer, openExchange } from '../connectors/http-exchange.ts';
import { fixedHeaders } from '../connectors/http-headers.ts';
import { lowerCase } from '../connectors/http-send.ts';
import { reject, retry } from '../errors.ts';
import { compileTree, exprRecord } from '../expr/tree.ts';
import type { JsonValue } from '../message.ts';
import { choiceOf, connectionRef, pattern } from '../schema.ts';

/* A request of a step to an HTTP server, made of the message; the same for every step that asks. */
const nameInPath = /\{([^{}]*)\}/g;
const validName = /^[A-Za-z][A-Za-z0-9_]*$/;

export const requestFields = {
  connectionRef: connectionRef('http'),
  path: pattern("Appended to the Connection's URL.", /^\/[!-"$-~]*$/, 2048, {
    doc: 'A name in braces stands for one of `values`: /customers/{id}.',
  }).optional(),
  values: exprRecord(
    'Values of names in the path; = at the start is CEL.',
    'Text, numbers or booleans, encoded so that no value can lead to another place of the server.',
  ).optional(),
  query: exprRecord(
    'Parameters after the path; = at the start is CEL.',
    'Text, numbers or booleans; an absent optional leaves its parameter out.',
  ).optional(),
  headers: fixedHeaders('Headers of each request; no credentials.').optional(),
  onNotFound: choiceOf('When the server answers 404; default Fail.', ['Fail', 'Continue'], {
    doc: 'Continue goes on with null in the variable.',
  }).optional(),
};
type Request = { readonly [K in keyof typeof requestFields]?: z.infer<(typeof requestFields)[K]> } & {
  readonly connectionRef: { readonly name: string };
};

/** Every name in the path has its value, and every value its name. To be called by the schema. */
export const namesAreValues = ({ path = '', values = {} }: Pick<Request, 'path' | 'values'>): string | undefined => {
  const names = [...path.matchAll(nameInPath)].map(([, name = '']) => name);
  const wrong = names.find((name) => !validName.test(name));
  if (wrong !== undefined) return `{${wrong}} in path is no name: use letters, digits and _`;
  const missing = names.find((name) => !Object.hasOwn(values, name));
  if (missing !== undefined) return `{${missing}} in path has no value: add it to values`;
  const unused = Object.keys(values).find((name) => !names.includes(name));
  return unused === undefined ? undefined : `values.${unused} is not in path: write {${unused}} there, or use query`;
};

/** `what` names the fields in errors: `call.http`. */
export const openRequest = async (
  what: string,
  method: string,
  config: Request,
  mostAnswerBytes: number,
  context: Pick<StepContext, 'secret' | 'ca' | 'egress' | 'connection'>,
) => {
  const { path = '', values = {}, query = {}, headers = {}, onNotFound } = config;
  const connection = context.connection(config.connectionRef) as HttpConnection;
  const target = new URL(connection.url.replace(/\/$/, ''));
  const base = target.pathname.replace(/\/$/, '');
  const where = `${method} ${target.origin}${base}${path.replace(/\?.*$/s, '')}`;
  const exchange = await openExchange({ connection, target, method, where, mostAnswerBytes }, context);
  const fixed = { accept: 'application/json', ...lowerCase({ ...connection.headers, ...headers }) };
  const inPath = compileAll(`${what}.values`, values);
  const inQuery = compileAll(`${what}.query`, query);
  return {
    /** Path and query of a message's request. Throws `reject('InvalidPath')`. */
    pathOf(scope: ExpressionScope): string {
      const texts = inPath(scope);
      const filled = path.replaceAll(nameInPath, (_, name: string) => {
        const text = texts.get(name);
        if (text !== undefined && text !== '') return encoded(text);
        throw reject('InvalidPath', `${what}.values.${name} gives nothing: the path ${path} needs it`);
      });
      if (/\/\.{1,2}(?=[/?]|$)/.test(filled))
        throw reject('InvalidPath', `${what}: a value makes "." or ".." of a part of the path ${path}`);
      const parameters = [...inQuery(scope)].map(([name, text]) => `${encoded(name)}=${encoded(text)}`).join('&');
      const whole = `${base}${filled}` || '/';
      return parameters === '' ? whole : `${whole}${whole.includes('?') ? '&' : '?'}${parameters}`;
    },
    /** The value of the answer; null for one that there is not. */
    async ask(
      requestPath: string,
      {
        body,
        own,
        signal,
      }: { readonly body: Uint8Array; readonly own: Record<string, string>; readonly signal: AbortSignal },
    ): Promise<JsonValue> {
      const also = onNotFound === 'Continue' ? { alsoStatus: 404 } : {};
      const answer = await exchange.ask({ headers: { ...fixed, ...own }, body, signal, path: requestPath, ...also });
      return answer.status === 404 ? null : valueOf(answer, where, mostAnswerBytes);
    },
    close: () => exchange.close(),
  };
};

const encoded = (text: string): string => encodeURIComponent(text.toWellFormed());

const compileAll = (field: string, config: Readonly<Record<string, unknown>>) => {
  const trees = Object.entries(config).map(([name, tree]) => [name, compileTree(tree)] as const);
  return (scope: ExpressionScope): ReadonlyMap<string, string> => {
    const texts = new Map<string, string>();
    for (const [name, tree] of trees) {
      const value = tree.evaluate(scope);
      if (value === undefined) continue;
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
        throw reject('InvalidPath', `${field}.${name} must be text, a number or a boolean`);
      texts.set(name, String(value));
    }
    return texts;
  };
};

const valueOf = ({ body, contentType = '', isWhole }: Answer, where: string, most: number): JsonValue => {
  if (!isWhole) {
    if (body.length >= most) throw reject('AnswerTooLarge', `${where}: the answer has more than ${most} bytes`);
    throw retry('HttpConnectionLost', `${where}: the answer broke off after ${body.length} bytes`);
  }
  if (body.length === 0) return null;
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString();
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const isJson = mediaType === 'application/json' || mediaType.endsWith('+json');
  if (!isJson && mediaType !== '') return text;
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    if (!isJson) return text;
    throw retry('AnswerNotJson', `${where}: the answer says that it is JSON, and is not`, { cause });
  }
};
