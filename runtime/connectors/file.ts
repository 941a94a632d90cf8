import type { z } from 'zod';
import { type Connector, defineConnection, defineIntakeSource, defineSink } from '../connector.ts';
import { mayLookAtBody } from '../expr/body-use.ts';
import { exprText } from '../expr/tree.ts';
import { choiceOf, connectionRef, duration, listOf, objectName, oneOf, pattern, shape, text } from '../schema.ts';
import { folderForm } from './file-names.ts';

/*
 * Files on a volume that is mounted into the pods of an Integration. What a source takes, and what it does with a file afterwards, is in
 * file-source.ts and file-take.ts, how a sink writes in file-sink.ts.
 */
const folder = (description: string, doc?: string) =>
  pattern(description, folderForm, 500, doc === undefined ? {} : { doc });

/* ---- Connection ---------------------------------------------------------------------------------------------------------- */

const connectionConfig = shape('A volume with files.', {
  claim: objectName('PersistentVolumeClaim in this namespace.', {
    doc: 'It is mounted into the pods of the Integrations that name the Connection, and into no other. Where they may run on several nodes, it has to be ReadWriteMany.',
  }),
  folder: folder('Folder of the volume; default: all of it.').optional(),
});
export type FileConnection = z.infer<typeof connectionConfig>;

const fileConnection = defineConnection<FileConnection>({
  config: connectionConfig,
  endpoints: () => [],
  volumes: ({ claim }) => [claim],
  examples: () => [
    { why: 'a volume that is shared with the partners', config: { claim: 'exchange', folder: 'partners/acme' } },
  ],
});

/* ---- Source -------------------------------------------------------------------------------------------------------------- */

const endingForm = /^\.[A-Za-z0-9._-]+$/;

const sourceConfig = shape('Takes files of a folder, a message each.', {
  connectionRef: connectionRef('file'),
  folder: folder("Below the Connection's folder; default: that one.", 'Folders in it are not looked into.').optional(),
  match: listOf(
    'Names that are taken; * and ? stand for others.',
    pattern('Such as orders-*.csv.', /^[^/\p{Cc}]+$/u, 255),
    1,
    16,
    { doc: 'Default: every file. Names that begin with a dot are never taken.' },
  ).optional(),
  every: duration('How often the folder is looked at; default 10s.').optional(),
  stableFor: duration('Unchanged for so long; default 5s.', {
    doc: 'A file is taken when its size and time have not changed for so long, so at the second look at the earliest. Senders that write under another name and rename the file need none of it.',
  }).optional(),
  order: choiceOf('Order of the files of a look; default Name.', ['Name', 'Modified']).optional(),
  done: oneOf('end', 'What becomes of files; default: folder done.', {
    folder: folder("Below the source's folder; they are moved there."),
    marker: pattern('An empty file with this ending beside each.', endingForm, 32, {
      doc: 'For folders that others clean up. A file is taken again when its marker is removed.',
    }),
  }).optional(),
  failedFolder: folder(
    'For files that are no message; default failed.',
    'Such as those that are too large. The reason lies beside each, with the ending .error.',
  ).optional(),
  contentType: text('Content type; default: by the ending of the name.', 253).optional(),
  type: text('CloudEvents type; default file.found.', 253).optional(),
}).meta({
  description: 'Takes files of a folder, a message each.',
  doc: 'The content is the body. `attrs.filename`, `attrs.filesize` (bytes) and `attrs.filemodified` say which file it was. Its id is made of path, time and size: a file that was sent and not moved before a crash is sent again with the same id, which is stored once within two minutes.',
});
export type FileSource = z.infer<typeof sourceConfig>;

const fileSource = defineIntakeSource<FileSource>({
  name: 'file',
  summary: 'Takes files of a folder, a message each.',
  placement: 'intake',
  config: sourceConfig,
  examples: () => [
    {
      why: 'every file of a folder, which ends up in its folder done',
      config: { connectionRef: { name: 'exchange' } },
    },
    {
      why: 'tables of a sender, the oldest first; others clean the folder up',
      config: {
        connectionRef: { name: 'exchange' },
        folder: 'out',
        match: ['articles-*.csv'],
        order: 'Modified',
        stableFor: '1m',
        done: { marker: '.taken' },
      },
    },
  ],
  run: async (config, context) => (await import('./file-source.ts')).takeFiles(config, context),
});

/* ---- Sink ---------------------------------------------------------------------------------------------------------------- */

const sinkConfig = shape('Writes messages as files.', {
  connectionRef: connectionRef('file'),
  folder: folder("Below the Connection's folder; default: that one.").optional(),
  name: exprText(
    'Name of the file; = is CEL.',
    /^(=[\s\S]+|[^=/.\\][^\\]*)$/,
    4096,
    'Parts with / are folders, which are made. A name that would lead out of the folder, is hidden, or is longer than 200 bytes makes a dead letter.',
  ),
  ifExists: choiceOf('A file of that name; default Replace.', ['Replace', 'Reject', 'Rename'], {
    doc: 'Replace: it is replaced. Reject: a dead letter. Rename: the name gets a part that is made of the message id. A file with the very content of the message is always taken for the one that was to be written.',
  }).optional(),
});
export type FileSink = z.infer<typeof sinkConfig>;

const fileSink = defineSink<FileSink>({
  name: 'file',
  summary: 'Writes messages as files.',
  config: sinkConfig,
  takesParts: ({ name }) => !mayLookAtBody(name),
  // The same message has the same name and content.
  idempotent: () => true,
  examples: () => [
    {
      why: 'a file for each order, in a folder for each customer',
      config: {
        connectionRef: { name: 'exchange' },
        folder: 'orders',
        name: "=body.customer + '/' + body.no + '.json'",
      },
    },
    {
      why: 'names that may come twice',
      config: { connectionRef: { name: 'exchange' }, name: '=attrs.filename', ifExists: 'Rename' },
    },
  ],
  open: async (config, context) => (await import('./file-sink.ts')).fileWriter(config, context),
});

export const fileConnector: Connector = {
  name: 'file',
  source: fileSource,
  sink: fileSink,
  connection: fileConnection,
};
