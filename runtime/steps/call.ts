import type { z } from 'zod';
import { defineStep } from '../connector.ts';
import { percentEncoded } from '../connectors/http-events.ts';
import { reject } from '../errors.ts';
import { compileTree, exprTree } from '../expr/tree.ts';
import { Body } from '../message.ts';
import { choiceOf, shape } from '../schema.ts';
import { namesAreValues, openRequest, requestFields } from './http-request.ts';
import { variableName, withVariable } from './variables.ts';

/** It is kept with the message until the sinks have it. */
const mostAnswerBytes = 1024 * 1024;

const config = shape(
  'Asks another system; the answer is a variable.',
  {
    as: variableName('The answer is vars.<name> for later steps.'),
    http: shape('Request to an HTTP server.', {
      method: choiceOf('HTTP method; default GET, with a body POST.', [
        'GET',
        'POST',
        'PUT',
        'PATCH',
        'DELETE',
      ]).optional(),
      ...requestFields,
      body: exprTree('Body of the request, as JSON; = at the start is CEL.').optional(),
    }).superRefine((value, context) => {
      const message = namesAreValues(value);
      if (message !== undefined) context.addIssue({ code: 'custom', path: ['path'], message });
    }),
  },
  {
    doc: 'JSON becomes a value, everything else text, at most 1 MiB. Statuses count as those of the http sink do: 5xx and 429 are tried again, other 4xx are dead letters. An attempt that is repeated asks again, with the same Idempotency-Key. The time is that of the attempt (delivery.timeout), or the timeout of the Connection.',
  },
);

/** Content enricher and service activator: request and reply from within a flow. */
export const callStep = defineStep<z.infer<typeof config>>({
  name: 'call',
  summary: 'Asks another system and keeps the answer in a variable.',
  config,
  state: 'none',
  connectors: ['http'],
  async open({ as, http: { body, method = body === undefined ? 'GET' : 'POST', ...request } }, context) {
    const tree = body === undefined ? undefined : compileTree(body);
    const { pathOf, ask, close } = await openRequest('call.http', method, request, mostAnswerBytes, context);
    return {
      async run(message, attempt) {
        const scope = context.scope(message, attempt);
        const value = tree?.evaluate(scope);
        if (tree && value === undefined)
          throw reject('NothingMapped', 'call.http.body is an absent optional; give it orValue(...)');
        const own = {
          // Another request of the same message is another one.
          'idempotency-key': percentEncoded(`${message.attrs.id}/${as}`),
          ...(value === undefined ? {} : { 'content-type': 'application/json' }),
        };
        const bytes = value === undefined ? nothing : Body.fromValue(value).bytes();
        const answer = await ask(pathOf(scope), { body: bytes, own, signal: attempt.signal });
        return withVariable(message, as, answer);
      },
      close: async () => close(),
    };
  },
  examples: () => [
    {
      why: 'the customer of an order, for later steps as vars.customer',
      config: {
        as: 'customer',
        http: { connectionRef: { name: 'crm' }, path: '/customers/{id}', values: { id: '=body.customer' } },
      },
      answers: [{ status: 200, headers: { 'content-type': 'application/json' }, body: { name: 'Ada', vip: true } }],
      given: { body: { no: 7, customer: 'c 1' } },
      becomes: [{ body: { no: 7, customer: 'c 1' }, vars: { customer: { name: 'Ada', vip: true } } }],
      asks: ['GET /customers/c%201'],
    },
    {
      why: 'a request with a body and parameters',
      config: {
        as: 'price',
        http: {
          connectionRef: { name: 'shop' },
          path: '/prices',
          query: { currency: 'EUR', coupon: '=body.?coupon' },
          body: { lines: '=body.lines' },
        },
      },
      answers: [{ status: 200, body: { total: 9.5 } }],
      given: { body: { lines: [{ sku: 'x' }] } },
      becomes: [{ body: { lines: [{ sku: 'x' }] }, vars: { price: { total: 9.5 } } }],
      asks: ['POST /prices?currency=EUR'],
    },
    {
      why: 'what is not there is null, if that is no failure',
      config: {
        as: 'customer',
        http: {
          connectionRef: { name: 'crm' },
          path: '/customers/{id}',
          values: { id: '=body.customer' },
          onNotFound: 'Continue',
        },
      },
      answers: [{ status: 404 }],
      given: { body: { customer: 1 } },
      becomes: [{ body: { customer: 1 }, vars: { customer: null } }],
    },
    {
      why: 'a value that would lead elsewhere',
      config: {
        as: 'customer',
        http: { connectionRef: { name: 'crm' }, path: '/customers/{id}', values: { id: '=body.customer' } },
      },
      given: { body: { customer: '..' } },
      rejects: 'InvalidPath',
    },
    {
      why: 'the other system does not want it',
      config: { as: 'price', http: { connectionRef: { name: 'shop' }, path: '/prices', body: '=body' } },
      answers: [{ status: 422, text: 'no lines' }],
      given: { body: {} },
      rejects: 'HttpStatus422',
    },
    {
      why: 'a name in the path without its value',
      config: { as: 'customer', http: { connectionRef: { name: 'crm' }, path: '/customers/{id}' } },
      refused: '{id} in path has no value',
    },
  ],
});

const nothing = new Uint8Array();
