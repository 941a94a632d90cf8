import { RequestOne } from '@nats-io/nats-core/internal';

/*
 * The client library ends a request that was answered as it ends one that is given up: with an error, its stack included, that nobody sees.
 * It is a sixtieth of what the operator computes, so an answered one is only taken off the list here. Decision 029.
 */
const fails = RequestOne.prototype.resolver;
RequestOne.prototype.resolver = function (...[error, message]: Parameters<typeof fails>): void {
  if (error) return fails.call(this, error, message);
  this.timer.cancel();
  this.deferred.resolve(message);
  this.mux.cancel(this);
};
