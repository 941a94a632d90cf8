import { expect, it } from 'vitest';
import { createOwnRoutes } from '../../../operator/reconcile/own-routes.ts';

it('what was written here is not news, whatever the order in which it is told', () => {
  const routes = createOwnRoutes();
  routes.wrote('A1', 5);
  // What is older than the first question is not known.
  expect(routes.isAllOwn('A1', 5)).toBe(false);
  routes.wrote('A1', 7);
  routes.wrote('A1', 6);
  routes.wrote('A2', 8);
  expect(routes.isAllOwn('A1', 7)).toBe(true);
  // Routes that stood already.
  routes.wrote('A1', 7);
  expect(routes.isAllOwn('A1', 7)).toBe(true);
  expect(routes.isAllOwn('A1', 8)).toBe(false);
});

it('what another has written is news, also between two own writes and before they are confirmed', () => {
  const routes = createOwnRoutes();
  routes.isAllOwn('A1', 10);
  routes.wrote('A1', 11);
  routes.wrote('A1', 13);
  expect(routes.isAllOwn('A1', 13)).toBe(false);
  // 14 is ours, but its confirmation is under way: one look too many.
  expect(routes.isAllOwn('A1', 14)).toBe(false);
  routes.wrote('A1', 14);
  routes.wrote('A1', 15);
  expect(routes.isAllOwn('A1', 15)).toBe(true);
});

it('a bucket that was made anew begins anew', () => {
  const routes = createOwnRoutes();
  routes.isAllOwn('A1', 10);
  // Into the old one, which went before anybody asked.
  routes.wrote('A1', 3);
  routes.wrote('A1', 11);
  expect(routes.isAllOwn('A1', 1)).toBe(false);
  routes.wrote('A1', 2);
  expect(routes.isAllOwn('A1', 2)).toBe(true);
  expect(routes.isAllOwn('A1', 10)).toBe(false);
  expect(routes.isAllOwn('A1', 11)).toBe(false);
  routes.forget('A1');
  expect(routes.isAllOwn('A1', 2)).toBe(false);
});
