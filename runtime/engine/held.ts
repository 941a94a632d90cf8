import type { Delivery } from '../transport/transport.ts';

/*
 * Deliveries that this worker answers for, prefetched ones too. Each tells the broker every ten seconds that it is still in good hands
 * (AckWait is 30 s for all). The map is ordered by the last sign, so a tick looks only at those that are due.
 */
export interface HeldDeliveries {
  add(delivery: Delivery, now: number): void;
  remove(delivery: Delivery): void;
  size(): number;
  tick(now: number): void;
}

const everyMs = 10_000;

export const createHeld = (): HeldDeliveries => {
  const lastSign = new Map<Delivery, number>();
  return {
    add: (delivery, now) => void lastSign.set(delivery, now),
    remove: (delivery) => void lastSign.delete(delivery),
    size: () => lastSign.size,
    tick(now) {
      const due: Delivery[] = [];
      for (const [delivery, at] of lastSign) {
        if (now - at < everyMs) break;
        due.push(delivery);
      }
      for (const delivery of due) {
        delivery.working();
        lastSign.delete(delivery);
        lastSign.set(delivery, now);
      }
    },
  };
};
