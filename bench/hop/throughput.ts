import { cpuMs, foreignShare, machineTime, residentMib } from '../measure.ts';
import { type Arena, sources } from './arena.ts';
import type { Participant } from './participants.ts';

export interface Hops {
  readonly perSecond: number;
  /** CPU time of the participant and of the server for one message, in microseconds. */
  readonly ownUs: number;
  readonly serverUs: number;
  readonly idleMib: number;
  /** The most that was seen under load. */
  readonly loadMib: number;
  /** Share of the machine that others used meanwhile. */
  readonly foreign: number;
}

const sampleMs = 100;
const settleMs = 300;

/** One participant through `count` messages, every one verified afterwards. */
export const runHops = async (arena: Arena, participant: Participant, number: number, count: number): Promise<Hops> => {
  const { source, promised } = participant;
  const consumer = participant.consumer(number);
  const destination = participant.destination(number);
  const round = await arena.round({ source, consumer, destination }, true);
  const running = await participant.start({
    port: arena.server.port,
    count,
    destination: destination.stream,
    consumer,
  });
  await round.waiting(running.alive);
  await new Promise((resolve) => setTimeout(resolve, settleMs));

  const pids = [running.pid, arena.server.pid, process.pid] as const;
  const idleMib = residentMib(running.pid);
  let loadMib = idleMib;
  const sampling = setInterval(() => {
    if (running.alive()) loadMib = Math.max(loadMib, residentMib(running.pid));
  }, sampleMs);
  const [cpuBefore, machineBefore, started] = [pids.map(cpuMs), machineTime(), performance.now()];
  let own = 0;
  const lives = () => {
    if (!running.alive()) return false;
    own = cpuMs(running.pid);
    return true;
  };
  await round.begin(count - 1);
  await round.finished(count, lives);
  const seconds = (performance.now() - started) / 1000;
  clearInterval(sampling);
  const [machineAfter, server, harness] = [machineTime(), cpuMs(arena.server.pid), cpuMs(process.pid)];
  const spent = [own - (cpuBefore[0] ?? 0), server - (cpuBefore[1] ?? 0), harness - (cpuBefore[2] ?? 0)];

  await running.stop(count);
  await round.verify(count, promised);
  await round.close();
  return {
    perSecond: count / seconds,
    ownUs: ((spent[0] ?? 0) * 1000) / count,
    serverUs: ((spent[1] ?? 0) * 1000) / count,
    idleMib,
    loadMib,
    foreign: foreignShare(
      machineBefore,
      machineAfter,
      spent.reduce((sum, each) => sum + each, 0),
    ),
  };
};

/** What the participants are to read lies there before the first starts, but for the last event. */
export const fillSources = async (arena: Arena, count: number): Promise<void> => {
  for (const source of ['yardstick', 'kanava'] as const) {
    const { state } = await arena.manager.streams.info(sources[source].stream);
    if (state.messages > 0) await arena.manager.streams.purge(sources[source].stream);
    await arena.fill(source, count - 1);
  }
};
