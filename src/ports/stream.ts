// The stream port: topics of records in partitions, read by position, and transactions that carry records and positions.

/** One record of a partition. Offsets are whole numbers below 2^53 that grow along a partition, not always by one. */
export interface StreamRecord {
  readonly partition: number;
  readonly offset: number;
  /** The position after it: where reading goes on once it is done with. */
  readonly next: number;
  /** When it was written, in milliseconds since 1970 by the writer's or the broker's clock; null where the stream keeps no times. */
  readonly timestamp: number | null;
  readonly key: Uint8Array | null;
  /** Null: a deletion mark. */
  readonly value: Uint8Array | null;
  /** True where `value` is only the beginning of a record that is longer than may be. */
  readonly cut?: true;
}

/** A record to be written. */
export interface OutRecord {
  /** Records of one key keep their order. */
  readonly key: string | Uint8Array;
  readonly value: string | Uint8Array;
  /** In milliseconds since 1970. */
  readonly timestamp: number | null;
}

/** Where a partition begins (older records are gone) and where its next record will stand. */
export interface Span {
  readonly begin: number;
  readonly end: number;
}

/** The partitions that are this process's; `generation` grows with each assignment. */
export interface Assignment {
  readonly generation: number;
  readonly partitions: readonly number[];
  /** Partitions of the topic, whoever has them. */
  readonly total: number;
}

/** Written wholly or not at all. */
export interface Transaction {
  /** By topic. */
  readonly outputs: ReadonlyMap<string, readonly OutRecord[]>;
  /** By partition of the input: where reading goes on. */
  readonly positions: ReadonlyMap<number, number>;
}

/** A topic as one member of a group reads it. What was read is committed by a {@link StreamWriter}, and by nothing else. */
export interface StreamSource {
  readonly topic: string;
  /** Null until the first assignment, and while the group finds another one. */
  assignment(): Assignment | null;
  /**
   * Positions that transactions of the group committed; a partition without one is absent. A commit of a moment ago may be missing, unless its
   * writer's id was taken over since. Errors: stream.unreachable.
   */
  committed(): Promise<ReadonlyMap<number, number>>;
  /** Of all partitions. Errors: stream.unreachable. */
  spans(): Promise<ReadonlyMap<number, Span>>;
  /** Reads an assigned partition from a position on, and drops what was read of it before. */
  start(partition: number, position: number): void;
  /** What has come of a started partition, in order; empty when nothing has. More is read once it was taken. */
  take(partition: number): readonly StreamRecord[];
  /** Everything of the partition below this offset was given by {@link take}, or holds no record. */
  readTo(partition: number): number;
  /** Settles when something came or the assignment changed, after `waitMs` at the latest. Errors: stream.*, once reading has failed for good. */
  arrived(waitMs: number): Promise<void>;
  /** Leaves the group. */
  close(): Promise<void>;
}

/** Writes transactions, one at a time. After one that failed, call {@link takeOver} and ask the source what is committed. */
export interface StreamWriter {
  /**
   * From now on no other writer of this id can commit, and what it left open is undone; without an id it only makes ready. To be called before
   * the first transaction. `outputs` are the topics that it writes. Errors: stream.unreachable.
   */
  takeOver(outputs: readonly string[]): Promise<void>;
  /**
   * Errors: stream.unreachable (the transaction may have been committed), stream.taken-over, stream.missing, stream.unsupported.
   */
  commit(transaction: Transaction): Promise<void>;
  close(): Promise<void>;
}

export interface SubscribeOptions {
  readonly topic: string;
  readonly group: string;
  /** How long a member may be silent before its partitions are given to others. */
  readonly sessionMs: number;
  /** Longest record; what is longer is cut, where the stream itself has no such limit. */
  readonly recordBytesMax: number;
  /** True: the input is whole, so that its last line needs no line break. */
  readonly whole: boolean;
}

export interface TopicKept {
  readonly topic: string;
  /** Null: for ever. */
  readonly retentionMs: number | null;
  /** The newest record of each key stays; a deletion mark takes it away. */
  readonly compacted: boolean;
}

/** Streams of one kind. Errors: stream.*, config.invalid. */
export interface Streams {
  readonly where: string;
  /** False where a record cannot be read a second time, such as from standard input. */
  readonly replayable: boolean;
  /** Whether a record may be any bytes; else it is a line of text. */
  readonly binary: boolean;
  /** Whether a topic is made by the first record that is written to it. */
  readonly makesTopics: boolean;
  /** The number of partitions of those topics that are there. */
  topics(names: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** How long those topics that are there keep their records, where the stream decides that by itself; none where its files are ours. */
  kept(names: readonly string[]): Promise<readonly TopicKept[]>;
  create(topic: string, partitions: number): Promise<void>;
  /**
   * For how many milliseconds from a record's own time these topics keep it; one that keeps it for ever, counts from when it was written, or does
   * not say, is absent.
   */
  keeps(names: readonly string[]): Promise<ReadonlyMap<string, number>>;
  subscribe(options: SubscribeOptions): Promise<StreamSource>;
  /** `id` null: what it writes is in order and once, and every call is on its own; positions need an id. */
  writer(options: {
    readonly id: string | null;
    readonly group: string;
    readonly topic: string;
  }): Promise<StreamWriter>;
  close(): Promise<void>;
}
