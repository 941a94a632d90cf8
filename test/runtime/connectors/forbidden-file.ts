import type { IntakeSource } from '../../../runtime/connector.ts';
import { fileConnector } from '../../../runtime/connectors/file.ts';
import { machinePace } from '../../../runtime/intake/pace.ts';

/*
 * The file source in a process of its own, which may not read everything: takes of the folder until it has one file and was denied another
 * one, and prints which.
 */
const [, , path = ''] = process.argv;
const shutdown = new AbortController();
const result = { accepted: new Set<unknown>(), said: new Set<string>() };
const seen = () => {
  if (result.accepted.size > 0 && result.said.size > 0) shutdown.abort();
};
const source = fileConnector.source as IntakeSource;
await source.run(source.config.parse({ connectionRef: { name: 'exchange' }, every: '5ms', stableFor: '1ms' }), {
  async accept({ attrs }) {
    result.accepted.add(attrs['filename']);
    seen();
    return { id: attrs.id, duplicate: false };
  },
  maxBytes: () => 1024,
  source: '/acme/articles/in',
  connection: { claim: 'exchange' },
  egress: { resolve: () => Promise.reject(new Error('it goes nowhere')) },
  volume: () => path,
  pace: machinePace,
  trouble: () => undefined,
  secret: () => '',
  ca: () => '',
  signal: shutdown.signal,
  log: {
    info: () => undefined,
    warn: () => undefined,
    debug: () => undefined,
    error(fields) {
      result.said.add(`${String(fields['code'])} ${String(fields['file'])}`);
      seen();
    },
  },
});
console.log(JSON.stringify({ accepted: [...result.accepted], said: [...result.said] }));
