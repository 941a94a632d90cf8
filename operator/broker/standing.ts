import type { Lags, StreamSpec, StreamState } from '../reconcile/ports.ts';

/*
 * What NATS was asked for a moment ago stands as long as the meter, which sees all streams every second, shows nothing else. Thousands of
 * Integrations that are looked at every ten seconds ask for nothing then.
 */
export interface Standing {
  /**
   * The stream with the figures of now, if it was found right for this very spec lately, and is still there with its consumers; else what
   * `look` says. Figures of consumers are those of the last look.
   */
  stream(account: string, spec: StreamSpec, look: () => Promise<StreamState>): Promise<StreamState>;
  /** What `look` answered about the same thing lately, if the stream has not moved since. */
  answer<Answer>(account: string, stream: string, question: Question, look: () => Promise<Answer>): Promise<Answer>;
  /** Whether the meter has seen such a stream. */
  isSeen(account: string, stream: string): boolean;
}
interface Question {
  readonly name: string;
  /** Compared by identity. */
  readonly about?: unknown;
}
interface Found {
  readonly at: number;
  readonly about: unknown;
  /** Of the stream, from before it was asked. */
  readonly figures?: string;
  readonly value: unknown;
}

/** What the meter does not show, such as a setting that was changed by hand, is found after this time. */
const standsMs = 300_000;
/** What the meter says is not known any more after this time; it looks every second. */
const meterFreshMs = 5_000;

export const createStanding = (
  lags: Pick<Lags, 'lag' | 'lookedAt'>,
  now: () => number = () => performance.now(),
): Standing => {
  // Two of them, so that what nobody asks for any more goes.
  let [recent, older] = [new Map<string, Found>(), new Map<string, Found>()];
  let turnedAt = now();

  const keep = (key: string, found: Found) => {
    if (now() - turnedAt > standsMs) {
      [recent, older] = [new Map(), recent];
      turnedAt = now();
    }
    recent.set(key, found);
  };
  const standing = (key: string, about: unknown): Found | undefined => {
    const found = recent.get(key) ?? older.get(key);
    return found && found.about === about && now() - found.at < standsMs ? found : undefined;
  };
  /** The meter has looked since, and not long ago. */
  const isSeenSince = (at: number): boolean => {
    const lookedAt = lags.lookedAt();
    return lookedAt !== undefined && lookedAt > at && now() - lookedAt < meterFreshMs;
  };
  const figuresOf = (account: string, stream: string): string | undefined => {
    const lag = lags.lag(account, stream);
    return lag && `${lag.messages} ${lag.firstSequence} ${lag.lastSequence}`;
  };

  return {
    isSeen: (account, stream) => lags.lag(account, stream) !== undefined,
    stream: async (account, spec, look) => {
      const key = `${account}/${spec.name}`;
      const found = standing(key, spec);
      const lag = found && isSeenSince(found.at) ? lags.lag(account, spec.name) : undefined;
      if (found && lag) {
        const isNewer = lag.consumersAt !== undefined && lag.consumersAt > found.at;
        const isWhole = spec.consumers.every(({ name }) => lag.consumers.some((consumer) => consumer.name === name));
        const { messages, bytes, firstSequence, lastSequence, lastTime } = lag;
        const figures = { messages, bytes, firstSequence, lastSequence, ...(lastTime ? { lastTime } : {}) };
        const consumers = found.value as StreamState['consumers'];
        if (!isNewer || isWhole) return { name: spec.name, ...figures, consumers };
      }
      const at = now();
      const state = await look();
      keep(key, { at, about: spec, value: state.consumers });
      return state;
    },
    answer: async <Answer>(
      account: string,
      stream: string,
      { name, about }: Question,
      look: () => Promise<Answer>,
    ): Promise<Answer> => {
      const key = `${account}/${stream}/${name}`;
      const figures = figuresOf(account, stream);
      const found = standing(key, about);
      if (found && figures !== undefined && found.figures === figures && isSeenSince(found.at))
        return found.value as Answer;
      const at = now();
      const value = await look();
      if (figures !== undefined) keep(key, { at, about, figures, value });
      return value;
    },
  };
};
