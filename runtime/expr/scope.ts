import type { ExpressionScope } from '../connector.ts';
import type { Message } from '../message.ts';

/** What expressions see of a message. `body` is read only by expressions that use it. */
export const scopeOf = (message: Message, meta: ExpressionScope['meta']): ExpressionScope =>
  new MessageScope(message, meta);

const noVariables = {};

/** A class: a getter in an object literal is defined anew for each message. */
class MessageScope implements ExpressionScope {
  readonly headers: Message['headers'];
  readonly attrs: Message['attrs'];
  readonly vars: NonNullable<Message['vars']>;
  readonly error = null;
  readonly meta: unknown;
  readonly #body: Message['body'];

  constructor({ headers, attrs, body, vars = noVariables }: Message, meta: unknown) {
    this.vars = vars;
    this.headers = headers;
    this.attrs = attrs;
    this.meta = meta;
    this.#body = body;
  }

  get body(): unknown {
    return this.#body.value();
  }
}
