import type { ExpressionScope } from '../connector.ts';
import type { Message } from '../message.ts';

/** What expressions see of a message. `body` is read only by expressions that use it. */
export const scopeOf = (message: Message, meta: ExpressionScope['meta']): ExpressionScope => ({
  get body() {
    return message.body.value();
  },
  headers: message.headers,
  attrs: message.attrs,
  vars: {},
  error: null,
  meta,
});
