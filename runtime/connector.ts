import type { z } from 'zod';
import type { Message } from './message.ts';
import type { CaRef, SecretRef } from './schema.ts';

/*
 * THE CONTRACT between Kanava and everything that it connects to. One connector is one file in `connectors/`, one step one file
 * in `steps/`, plus one line in `catalog.ts`. From the zod schemas given here follow the CRDs, the editor schema, the docs and the
 * CLI help. Engine, operator and CLI look only at what is declared here, never at a name.
 *
 * Lifecycle. `open` is called once per process and configuration, may be called again after `reconnect`, and imports the client
 * library dynamically, so that a worker loads only what its flow uses. `close` is called after the last message; it must not throw.
 * Every wait obeys the AbortSignal it is given. Everything thrown is an instruction (errors.ts).
 *
 * Once and again. A message is delivered at least once: after a crash it comes again, with the same id (`attrs.id`), and so do the
 * messages that a step made of it. What the engine publishes carries that id, so repeats are stored once; a sink passes it on where the
 * other side can tell repeats by it, and declares whether they have a second effect (`idempotent`). A step that remembers makes its claim
 * before the message goes on and confirms it when it has `settled`, never in one: whatever dies in between, nothing is lost.
 *
 * test/conformance tries these promises on every connector and step of the catalogue.
 */

/** What open() of any part gets. */
export interface OpenContext {
  /** Reads a mounted Secret value now. Values rotate: read when a connection is made, do not keep them. */
  readonly secret: (ref: SecretRef) => string;
  /** Reads a mounted CA bundle (PEM). */
  readonly ca: (ref: CaRef) => string;
  readonly log: Log;
  /** Aborted when the process shuts down. */
  readonly signal: AbortSignal;
}

export interface Log {
  info(fields: Record<string, unknown>, text: string): void;
  warn(fields: Record<string, unknown>, text: string): void;
  error(fields: Record<string, unknown>, text: string): void;
  debug(fields: Record<string, unknown>, text: string): void;
}

/** One attempt of one message. */
export interface Attempt {
  /** 1 for the first try. */
  readonly number: number;
  /** Which replay of a dead letter it is, from 1; absent for a message that is none. */
  readonly replay?: number | undefined;
  /** Aborted at the attempt's deadline (`delivery.timeout`) or on shutdown after the grace period. */
  readonly signal: AbortSignal;
  /** Names what was accepted: the same at every attempt, another for a replay and for the same message accepted twice. */
  readonly origin: string;
  /** When it was stored (ms since 1970), by the broker's clock; the same at every attempt. For a call: when it came. */
  readonly acceptedAt: number;
  /** Somebody had it before, who may have died with it: what a step did with it may be done. */
  readonly repeated: boolean;
  /**
   * Calls `told` once it is known what became of the message, before the broker forgets it: when the worker dies before that, the message
   * comes again. Told of neither is who saw an attempt that failed and is tried again. A rejection is noted and holds up nothing.
   */
  readonly settled: (told: (fate: Fate) => Promise<void>) => void;
}
/**
 * - `delivered` every sink that wanted it has it
 * - `withdrawn` it is a dead letter (one of its sinks may have it), or was postponed before any sink had it
 */
export type Fate = 'delivered' | 'withdrawn';

/** A configuration that is worth showing; its form is tested. */
export interface ConfigExample {
  readonly why: string;
  readonly config: unknown;
}

/* ---- Connections ------------------------------------------------------------------------------------------------------- */

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** The settings that several Integrations share: endpoint and credentials of one system. */
export interface ConnectionDefinition<C = unknown> {
  readonly config: z.ZodType<C>;
  /** Where the connection leads: shown in status and checked against the tenant's egress ceiling. Pure. */
  readonly endpoints: (config: C) => Endpoint[];
  /** PersistentVolumeClaims that the pods need which use it. Pure. */
  readonly volumes?: (config: C) => string[];
  /** Functions here and below, so that they cost no worker anything. */
  readonly examples?: () => readonly ConfigExample[];
}

/**
 * The only way out of a pod. `resolve` turns a host into one address that both the Connection and the tenant's ceiling allow, and
 * throws `reject('EgressDenied')` otherwise; the caller must connect to that very address (pinned), so that a name that changes its
 * address between check and use gains nothing.
 */
export interface Egress {
  resolve(endpoint: Endpoint): Promise<{ address: string; family: 4 | 6 }>;
}

/** Folder at which the volume of a claim is mounted. Others write there, too: nothing in it is to be trusted, links least of all. */
export type Volume = (claim: string) => string;

/* ---- Sources ----------------------------------------------------------------------------------------------------------- */

/**
 * Where a source's code runs.
 * - `gateway` must listen: runs in the tenant's always-on gateway, registers a route, answers after the PubAck.
 * - `intake`  holds a session (a queue, a poll, a change stream): the one pod of a Deployment of its own, never scaled by lag.
 * - `broker`  the message is already in NATS (bus, schedule): the worker's durable consumer reads it. No code runs, no copy is made.
 * @public
 */
export type Placement = 'gateway' | 'intake' | 'broker';

/**
 * Hands a message to the inbox. Resolves after the PubAck: only then may the source acknowledge to the other side. Rejects with
 * `InboxFull` (refuse: 503, pause), `InboxUnavailable` (same) or `MessageTooLarge`.
 */
export type Accept = (message: Message) => Promise<Accepted>;
export interface Accepted {
  readonly id: string;
  /** The inbox had this id already: fine for a source that repeats itself. */
  readonly duplicate: boolean;
}
/**
 * Request-reply: sends a message straight to a worker, through steps and sinks, and waits for what the steps made of it; `undefined`:
 * nothing (filtered). Nothing is stored and nothing is repeated. Rejects with an InstructionError: `reject` when a step refused the
 * message, `NoWorker` (503: nobody had it), `CallTimeout` (504: somebody may have had it), `Suspended`, `Busy`, or with what failed.
 */
export type Call = (message: Message, options: { readonly timeoutMs: number }) => Promise<Message | undefined>;

/**
 * For requests that may be repeated: whoever comes first with a key runs, and says at the end what later ones get, or that another may
 * run. `print` tells whether two requests are the same; `forMs`: how long the first one may take. Rejects while earlier answers cannot be
 * looked up.
 */
export type Once = (request: { readonly key: string; readonly print: string; readonly forMs: number }) => Promise<Turn>;
export type Turn =
  | { readonly kind: 'first'; keep(answer: Uint8Array): Promise<void>; release(): Promise<void> }
  | { readonly kind: 'kept'; readonly answer: Uint8Array }
  | { readonly kind: 'running' | 'other' };

export interface HttpRequest {
  readonly method: string;
  /** Path below the source's own path, with query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}
/** One whose body is too large to be held: it is read as it comes, once. Reading throws when the sender goes away. */
export interface LargeHttpRequest extends Omit<HttpRequest, 'body'> {
  readonly body: AsyncIterable<Uint8Array>;
}
export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}
/** A route of the gateway. `limits` are enforced by the listener before a body is read. */
export interface HttpRoute {
  readonly path: string;
  readonly methods: readonly string[];
  readonly maxBytes: number;
  readonly handle: (request: HttpRequest) => Promise<HttpResponse>;
  /** For bodies that are larger than that, up to a limit of their own; absent: they are refused. */
  readonly large?: {
    readonly maxBytes: number;
    readonly handle: (request: LargeHttpRequest) => Promise<HttpResponse>;
  };
}

interface SourceBase<C> {
  readonly name: string;
  readonly summary: string;
  readonly config: z.ZodType<C>;
  readonly examples?: () => readonly ConfigExample[];
}
export interface GatewayContext extends OpenContext {
  readonly accept: Accept;
  readonly call: Call;
  readonly once: Once;
  /** Set where the Integration takes bodies that fit into no message: from how many bytes on they are such, and how many one may have. */
  readonly largeBodies?: { readonly above: number; readonly largest: number } | undefined;
  /** CloudEvents `source` of messages that carry none: `/<tenant>/<integration>/<source>`. */
  readonly source: string;
}
export interface GatewaySource<C = unknown> extends SourceBase<C> {
  readonly placement: 'gateway';
  /** Routes below `/<integration>`, unique within an Integration; pure, used by operator and gateway alike. */
  readonly paths: (config: C) => string[];
  /** Milliseconds that a request may wait, where it is answered by the flow: workers then take calls. Pure. */
  readonly replies?: (config: C) => number | undefined;
  /** Called in the gateway for each applied revision of an Integration; returns the routes to serve. */
  readonly open: (config: C, context: GatewayContext) => Promise<{ routes: HttpRoute[]; close?: () => Promise<void> }>;
}
export interface IntakeContext extends OpenContext {
  readonly accept: Accept;
  /** Bytes that a body may have. */
  readonly maxBytes: () => number;
  /** Set where larger ones are taken, too: above so many bytes they are handed over in pieces. */
  readonly largeBodies?: { readonly above: number; readonly largest: number } | undefined;
  /** CloudEvents `source` of its messages: `/<tenant>/<integration>/<source>`. */
  readonly source: string;
  /** Settings of the Connection that `connectionRef` names, parsed by its schema. */
  readonly connection: unknown;
  readonly egress: Egress;
  readonly volume: Volume;
  /** Says why nothing comes: the pod is not ready, and shows it. `undefined`: all is well. */
  readonly trouble: (problem: string | undefined) => void;
  readonly pace: Pace;
}
/** The time that a source lives by: that of the machine, or that of a test. */
export interface Pace {
  /** Milliseconds, for differences only. */
  now(): number;
  /** Ends early when the signal aborts; never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}
export interface IntakeSource<C = unknown> extends SourceBase<C> {
  readonly placement: 'intake';
  /**
   * Runs until the signal aborts; mends what it can by itself, and is started again when it rejects. Acknowledges to the other side only after
   * `accept` resolved. There is one at a time, except while a node is cut off: then a second one may run beside it, so what both do must
   * come to the same.
   */
  readonly run: (config: C, context: IntakeContext) => Promise<void>;
}
/** What the worker's durable consumer reads of a shared stream. Subjects and headers are made of it by the operator. */
export type Binding =
  /** Events of these CloudEvents types. */
  | { readonly stream: 'bus'; readonly types: readonly string[] }
  | { readonly stream: 'tick'; readonly schedule: Schedule };
/** When the broker makes a message by itself, and which. */
export interface Schedule {
  /** Six fields, from the second to the day of the week. */
  readonly cron: string;
  /** IANA name. */
  readonly timeZone: string;
  /** CloudEvents type of the message. */
  readonly type: string;
  readonly body: string;
  readonly contentType: string;
}
export interface BrokerSource<C = unknown> extends SourceBase<C> {
  readonly placement: 'broker';
  /** Pure: operator and worker ask alike. */
  readonly bind: (config: C) => Binding;
}
export type SourceDefinition = GatewaySource | IntakeSource | BrokerSource;

/* ---- Sinks ------------------------------------------------------------------------------------------------------------- */

export interface SinkContext extends OpenContext {
  readonly egress: Egress;
  readonly volume: Volume;
  /** Settings of the Connection that `connectionRef` names, parsed by its schema. */
  readonly connection: unknown;
  readonly scope: (message: Message, attempt: Attempt) => ExpressionScope;
  readonly publish: Publish;
}
/**
 * Puts a message on the tenant's bus, as an event of its own type (`attrs.type`). Resolves after the PubAck; what the same part
 * publishes again is stored once, what a replay publishes once more. Rejects with an instruction.
 */
export type Publish = (message: Message, attempt: Attempt) => Promise<void>;
export interface OpenSink {
  /**
   * Delivers one message. Resolving means that the other side has it: the engine then records the sink as confirmed and does not
   * call it again for this message, except after a crash in between. May throw at once.
   */
  send(message: Message, attempt: Attempt): Promise<void>;
  close?(): Promise<void>;
}
export interface SinkDefinition<C = unknown> {
  readonly name: string;
  readonly summary: string;
  readonly config: z.ZodType<C>;
  /**
   * Whether a repeat with the same message id has no second effect: `true`, or why it may have one and what helps, for people who read it
   * in a warning of `kanava check`. Pure.
   */
  readonly idempotent: (config: C) => true | string;
  /**
   * It takes a body as it is, also one that lies in parts (`message.body.large`), which it reads as a stream; else it gets the whole, which
   * a worker holds of few and not of all. Pure.
   */
  readonly takesParts?: (config: C) => boolean;
  readonly examples?: () => readonly ConfigExample[];
  readonly open: (config: C, context: SinkContext) => Promise<OpenSink>;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------------- */

/**
 * What one message becomes: one (kept or changed), none (filtered; `undefined`), or several (split), which the engine draws one by one and
 * no more than 10 000 of. Of those that keep the id of the message, the engine makes ids with their number.
 */
export type StepResult = Message | undefined | Iterable<Message>;
export interface StepContext extends OpenContext {
  readonly scope: (message: Message, attempt: Attempt) => ExpressionScope;
  /** The way through a flow of the Integration, by its name. Throws when there is none; to be used from `run` on. */
  readonly flow: (name: string) => RunFlow;
  /** For steps that declare `state: 'kept'`. */
  readonly memory: StepMemory;
  readonly publish: Publish;
  readonly egress: Egress;
  /** Settings of a Connection that the configuration names, parsed by its schema. */
  readonly connection: (ref: { readonly name: string }) => unknown;
  /** For steps that declare `resumes`. */
  readonly own: OwnInbox;
  /** Milliseconds since 1970, by the engine's clock. */
  readonly now: () => number;
}
/**
 * What a step puts into the inbox of its Integration is a message like any other: kept, tried again, a dead letter in the end. Its way
 * begins with the step's `resume` and goes on behind the step. A message that `resume` postpones is a timer: it waits with the broker,
 * survives its worker, and keeps the Integration awake.
 */
export interface OwnInbox {
  /** CloudEvents `source` of what the step makes: `/<tenant>/<integration>/<step>`. */
  readonly source: string;
  /** Bytes that a body may have. */
  room(): Promise<number>;
  /**
   * Resolves after the PubAck; false: the inbox is full. What has the id of one of the last two minutes is stored once. Where order is
   * kept, `attrs.partitionkey` is its key. Rejects with an instruction.
   */
  put(message: Message): Promise<boolean>;
}
/**
 * What one step remembers between messages, in the tenant's bucket: shared by all workers, apart from other steps and Integrations. Keys
 * are any text, values small JSON. It has little room (64 MiB a tenant), so what is written says for how long; only what would be lost
 * says nothing and stays. Rejects with an instruction.
 */
export interface StepMemory {
  read(key: string): Promise<{ readonly value: unknown; readonly revision: number } | undefined>;
  /** Replaces the revision that it names (0: there must be nothing); `undefined` when something else is there. */
  write(
    key: string,
    value: unknown,
    options: { readonly revision: number; readonly forMs?: number | undefined },
  ): Promise<number | undefined>;
}
/** What a message becomes after all steps of a named flow. Failures name the step inside: let them pass. */
export type RunFlow = (message: Message, attempt: Attempt) => StepResult | Promise<StepResult>;
/** Variables of expressions: `body headers attrs vars error meta`. `body` is parsed on first use. */
export interface ExpressionScope {
  readonly body: unknown;
  readonly headers: unknown;
  readonly attrs: unknown;
  readonly vars: unknown;
  readonly error: unknown;
  readonly meta: unknown;
  /** No variable: what bounds the loops of all expressions that see this scope. The first of them sets it. */
  loopClock?: { begin(): void; round(): void };
}
export interface OpenStep {
  /** Synchronous where it can be: the engine awaits only promises. */
  run(message: Message, attempt: Attempt): StepResult | Promise<StepResult>;
  /** In place of `run`, for a body that lies in parts: the messages that it becomes, each made when the one before has reached its sinks. */
  takeApart?(message: Message, attempt: Attempt): AsyncIterable<Message>;
  /** Takes what the step put into its own inbox, in place of `run`. */
  resume?(message: Message, attempt: Attempt): StepResult | Promise<StepResult>;
  close?(): Promise<void>;
}
/** Shown in the step's page and run as a test: docs/reference/steps/*.test.yaml. */
export type StepExample = ConfigExample & {
  /** Steps of the flows that the configuration names. */
  readonly flows?: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[] | undefined>>;
  /** Of the Connections, in order; the last one goes on. */
  readonly answers?: readonly ExampleAnswer[];
} & (
    | {
        readonly given: ExampleMessage;
        readonly becomes: readonly ExampleMessage[];
        /** Events on the bus. */
        readonly publishes?: readonly (ExampleMessage & { readonly type: string })[];
        /** Requests to Connections: `GET /customers/7`. */
        readonly asks?: readonly string[];
      }
    /** Of steps that gather: several, a second apart, and what has come out when nothing is due any more. */
    | { readonly givenAll: readonly ExampleMessage[]; readonly becomes: readonly ExampleMessage[] }
    /** Code of the dead letter, and the step of a flow that it is of. */
    | { readonly given: ExampleMessage; readonly rejects: string; readonly part?: string }
    /** Part of what is said of the configuration. */
    | { readonly refused: string }
  );
export type ExampleMessage = ({ readonly body: unknown } | { readonly text: string }) & {
  readonly attrs?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, unknown>>;
};
/** What another system says, as in the tests of users (docs/testing.md). */
export interface ExampleAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly text?: string;
}
export interface StepDefinition<C = unknown> {
  readonly name: string;
  readonly summary: string;
  readonly config: z.ZodType<C>;
  /** `none`: a pure function of the message. `kept`: remembers between messages in the tenant's state bucket. */
  readonly state: 'none' | 'kept';
  /** As of sinks; for steps that do not look at the body, or that read it part by part. Pure. */
  readonly takesParts?: (config: C) => boolean;
  /** Whose systems it reaches: a tenant that may not use one of these connectors may not use the step. */
  readonly connectors?: readonly string[];
  /** It uses its own inbox. Such steps stand in `spec.steps`: from inside a named flow the way on would not be known. */
  readonly resumes?: true;
  /** What it promises holds only where the engine keeps order: it needs `delivery.ordering: Key`. */
  readonly ordered?: true;
  /** Those of the catalogue have some: of every kind. */
  readonly examples?: () => readonly StepExample[];
  readonly open: (config: C, context: StepContext) => OpenStep | Promise<OpenStep>;
}

/* ---- Definitions: identity functions that check and infer ------------------------------------------------------------- */

/*
 * A definition is typed by its own config where it is written and by `unknown` in the catalogue; the engine passes to `open` only
 * what the same definition's schema has parsed, which is why the one cast here is sound.
 */
export const defineGatewaySource = <C>(source: GatewaySource<C>): GatewaySource => source as GatewaySource;
export const defineIntakeSource = <C>(source: IntakeSource<C>): IntakeSource => source as IntakeSource;
/** @public */
export const defineBrokerSource = <C>(source: BrokerSource<C>): BrokerSource => source as BrokerSource;
export const defineSink = <C>(sink: SinkDefinition<C>): SinkDefinition => sink as SinkDefinition;
export const defineStep = <C>(step: StepDefinition<C>): StepDefinition => step as StepDefinition;
export const defineConnection = <C>(connection: ConnectionDefinition<C>): ConnectionDefinition =>
  connection as ConnectionDefinition;

/** A system's code: its source, its sink, its connection settings; each optional. */
export interface Connector {
  readonly name: string;
  readonly source?: SourceDefinition;
  readonly sink?: SinkDefinition;
  readonly connection?: ConnectionDefinition;
}
