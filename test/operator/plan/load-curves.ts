import {
  type decideReplicas,
  type ScalingPolicy,
  type ScalingState,
  scaleInAfterMs,
} from '../../../operator/plan/decide-replicas.ts';
import type { Work } from '../../../operator/plan/work.ts';

/*
 * Random load on pods that take time to start and to work, and what must hold of every decision on the way. Written without the code that
 * it judges: needs are counted over the whole history instead of being remembered in a state.
 */
export type AutoPolicy = Extract<ScalingPolicy, { mode: 'Auto' }>;
export interface Sample {
  readonly at: number;
  readonly work: Work | undefined;
  readonly before: number;
  readonly after: number;
}

/** Small and repeatable: mulberry32. */
const randomOf = (seed: number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

export const policyOf = (seed: number): AutoPolicy => {
  const random = randomOf(seed);
  const minReplicas = random() < 0.6 ? 0 : Math.floor(random() * 4);
  return {
    mode: 'Auto',
    minReplicas,
    maxReplicas: minReplicas + 1 + Math.floor(random() * 15),
    lagPerReplica: 1 + Math.floor(random() * 200),
    idleAfterMs: Math.ceil(random() * 120) * 1_000,
  };
};

/** Messages a second at a time, in pieces: nothing, constant, rising, bursts. */
const loadOf = (random: () => number) => {
  const pieces = Array.from({ length: 2 + Math.floor(random() * 5) }, () => ({
    seconds: 10 + random() * 240,
    kind: Math.floor(random() * 4),
    rate: 10 ** (random() * 4 - 1),
  }));
  return (second: number): number => {
    let left = second;
    for (const { seconds, kind, rate } of pieces) {
      if (left < seconds) return [0, rate, (rate * left) / seconds, left % 30 < 1 ? rate * 10 : 0][kind] ?? 0;
      left -= seconds;
    }
    return 0;
  };
};

/** Twenty minutes, the last of them without load; `decide` is asked every second or so, and sees nothing while NATS is away. */
export const play = (seed: number, policy: AutoPolicy, decide: typeof decideReplicas): Sample[] => {
  const random = randomOf(seed ^ 0x5eed);
  const load = loadOf(random);
  const perPod = 10 ** (random() * 3 - 0.5);
  const failing = random() < 0.3 ? random() : 0;
  const samples: Sample[] = [];
  let state: ScalingState = { replicas: Math.floor(random() * (policy.maxReplicas + 2)) };
  let [waiting, inFlight, parked] = [random() < 0.3 ? Math.floor(random() * 1_000) : 0, 0, 0];
  let awayUntil = -1;
  let now = random() * 1e6;
  const start = now;
  for (let ready = 0; now < start + 1_200_000; ) {
    const stepMs = 200 + random() * 1_800;
    now += stepMs;
    const second = (now - start) / 1_000;
    waiting += second < 800 ? Math.round(load(second) * (stepMs / 1_000)) : 0;
    ready = Math.min(state.replicas, ready + (random() < 0.5 ? 1 : 0));
    const done = Math.min(inFlight, Math.ceil(perPod * ready * (stepMs / 1_000)));
    const failed = second < 800 ? Math.floor(done * failing) : 0;
    const due = Math.floor(parked * random() * 0.2);
    const taken = Math.min(waiting, Math.max(0, ready * 128 - (inFlight - done)));
    inFlight += taken - done + (ready > 0 ? due : 0);
    parked = ready > 0 ? parked + failed - due : parked;
    if (second > 850 && ready > 0) parked = 0;
    waiting -= taken;
    if (second > awayUntil && second < 900 && random() < 0.005) awayUntil = second + random() * 90;
    const work = second < awayUntil ? undefined : { waiting, inFlight, parked };
    const before = state.replicas;
    state = decide(policy, state, work, now).state;
    samples.push({ at: now, work, before, after: state.replicas });
  }
  return samples;
};

const total = ({ waiting, inFlight, parked }: Work) => waiting + inFlight + parked;

/** The rules, each with what breaks it. */
export const violations = (policy: AutoPolicy, samples: readonly Sample[]): string[] => {
  const found: string[] = [];
  const bounded = (count: number) => Math.min(policy.maxReplicas, Math.max(policy.minReplicas, count));
  const pods = (messages: number) => Math.ceil(messages / policy.lagPerReplica);
  const need = ({ work, before }: Sample): number => {
    if (!work) return Number.POSITIVE_INFINITY;
    const kept = Math.min(bounded(before), pods(work.waiting + work.inFlight));
    const one = total(work) > 0 ? 1 : Math.min(1, bounded(before));
    return bounded(Math.max(pods(work.waiting), kept, one));
  };
  let idleSince: number | undefined;
  const needs: { at: number; need: number }[] = [];
  /** The most that was needed since then; unbounded where something was not known, or before the beginning. */
  const mostSince = (since: number): number => {
    let most = 0;
    for (let index = needs.length - 1; index >= 0; index -= 1) {
      const one = needs[index];
      if (!one || one.at < since) return most;
      most = Math.max(most, one.need);
    }
    return Number.POSITIVE_INFINITY;
  };
  for (const sample of samples) {
    const { at, work, before, after } = sample;
    const say = (rule: string) => found.push(`${rule}: ${JSON.stringify(sample)}`);
    needs.push({ at, need: need(sample) });
    idleSince = work && total(work) === 0 ? (idleSince ?? at) : undefined;
    const isIdle = idleSince !== undefined && at - idleSince >= policy.idleAfterMs;
    if (after > policy.maxReplicas) say('above the most');
    if (after < policy.minReplicas) say('below the least');
    if (!work) {
      if (after !== bounded(before)) say('changed by what is not known');
      continue;
    }
    if (total(work) > 0 && after === 0) say('none with work');
    if (after < bounded(pods(work.waiting))) say('too slow');
    if (after > bounded(before) && after > bounded(Math.max(1, pods(work.waiting)))) say('more than wait');
    if (isIdle && after !== policy.minReplicas) say('not at rest when idle');
    if (after < bounded(before) && !isIdle && mostSince(at - scaleInAfterMs) > after) say('given up too soon');
    if (after === before && mostSince(at - 2 * scaleInAfterMs - 4_000) < after) say('kept for nothing');
  }
  return found;
};
