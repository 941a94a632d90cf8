import { type Verdict, verdict } from './conditions.ts';

/** What a failure of NATS means for `MessagingReady`, by the stable code of a BrokerError. */
export const messagingFailure = (code: string, message: string): Verdict<'MessagingReady'> => {
  switch (code) {
    case 'Unreachable':
      return verdict('MessagingReady', 'Unknown', 'Unreachable', message);
    case 'Insufficient':
      return verdict('MessagingReady', 'False', 'CapacityExceeded', message);
    default:
      return verdict('MessagingReady', 'False', 'Refused', message);
  }
};
/** Streams of an Integration fail in one more way, which its user can mend. */
export const streamFailure = (code: string, message: string): Verdict<'MessagingReady'> =>
  code === 'Immutable'
    ? verdict('MessagingReady', 'False', 'StreamImmutable', message)
    : messagingFailure(code, message);
