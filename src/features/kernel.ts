// The reading kernel's door: what one key's run gives in all windows of a plan, computed in WebAssembly, bit for bit as `KeyReader` does.
import { loadKernels, makeMemory } from "../core/kernels.ts";
import type { KeySteps, Pass, PassColumn } from "./passes.ts";
import { CHECKED_FIELDS, COUNT_FACT, OUTPUT_FIELDS, WINDOW_FIELDS } from "./passes.ts";
import type { FeaturePlan } from "./plan.ts";
import type { RunPlace } from "./timelines.ts";

/** Entries of a run that the kernel takes; what it reads is copied to it, and a longer run is searched where it lies instead. */
export const KERNEL_ENTRIES_MAX = 1024;
/** Labels that are among the facts already. */
export const KNOWN_FRAUDS = 1;
export const KNOWN_GENUINE = 2;

// Where things stand in the kernel's memory: the same numbers as in kernels/assembly/read.ts.
const VALUES_MAX = 2048;
const VECTOR_AT = VALUES_MAX * 8;
const AGES_AT = VECTOR_AT + VALUES_MAX * 4;
const COLUMNS_AT = AGES_AT + KERNEL_ENTRIES_MAX * 8;
const COLUMNS_MAX = 8;
const OWN_AT = COLUMNS_AT + COLUMNS_MAX * KERNEL_ENTRIES_MAX * 8;
const PLACES_AT = OWN_AT + COLUMNS_MAX * 8;
const EDGES_MAX = 1024;
const FACTS_AT = PLACES_AT + EDGES_MAX * 4;
const FACTS_MAX = 8192;
const PROGRAMS_AT = FACTS_AT + FACTS_MAX * 8;
/** Programs of many plans; when they are full all of them are written anew as they are needed. */
const PROGRAMS_BYTES = 1 << 20;

const SPREAD = 1;
const EXTREMES = 2;
/** What stands in place of a program where the kernel cannot do what the steps ask for. */
const UNFIT = 0;

interface Functions {
  readKey(program: number, entries: number, known: number): void;
  finishRow(steps: number, count: number, width: number, time: number): void;
}

/** What a key is read for; one object is reused. */
export interface KernelInput {
  /** The transaction's time after the origin of the run. */
  now: number;
  /** Its values, by column of the run. */
  values: Float64Array;
  /** The run's column for each of the steps'. */
  columnOf: Int32Array;
  /** KNOWN_FRAUDS, KNOWN_GENUINE, both or 0. */
  known: number;
}

/** The kernel of this thread: one memory, used from call to call. */
class ReadKernel {
  /** Of the vector that is being read; valid until the next is. */
  readonly values: Float64Array;
  readonly facts: Float64Array;
  /** What `finish` rounds the first values to. */
  private readonly vector: Float32Array;
  private readonly ages: Float64Array;
  private readonly columns: readonly Float64Array[];
  private readonly own: Float64Array;
  private readonly bytes: ArrayBufferLike;
  private readonly functions: Functions;
  private programsUsed = 0;
  /** How often all programs were given up. */
  private generation = 0;

  constructor() {
    const memory = makeMemory(PROGRAMS_AT + PROGRAMS_BYTES, { shared: false });
    this.functions = loadKernels<Functions>(new URL("./kernels/read.wasm", import.meta.url), memory);
    this.bytes = memory.buffer;
    const numbers = (at: number, length: number) => new Float64Array(memory.buffer, at, length);
    this.values = numbers(0, VALUES_MAX);
    this.vector = new Float32Array(memory.buffer, VECTOR_AT, VALUES_MAX);
    this.ages = numbers(AGES_AT, KERNEL_ENTRIES_MAX);
    this.columns = Array.from({ length: COLUMNS_MAX }, (_, c) =>
      numbers(COLUMNS_AT + c * KERNEL_ENTRIES_MAX * 8, KERNEL_ENTRIES_MAX),
    );
    this.own = numbers(OWN_AT, COLUMNS_MAX);
    this.facts = numbers(FACTS_AT, FACTS_MAX);
  }

  /** Whether so many values have room. */
  holds(values: number): boolean {
    return values <= VALUES_MAX;
  }

  /** The program of the steps, to be run next; 0 where the kernel cannot do what they ask for. `place` is theirs alone. */
  programOf(steps: KeySteps, place: ProgramPlace): number {
    if (place.generation !== this.generation) this.install(programBytes(steps), place);
    return place.program;
  }

  /** Fills the key's features among `values`; those that depend on known labels stand there already, and the counts of labels among `facts`. */
  read(program: number, run: RunPlace, { now, values, columnOf, known }: KernelInput): void {
    const { times, begin, end } = run;
    const { ages, columns, own } = this;
    for (let i = begin; i < end; i++) ages[i - begin] = now - times[i];
    const width = columnOf.length < COLUMNS_MAX ? columnOf.length : COLUMNS_MAX;
    for (let c = 0; c < width; c++) {
      own[c] = values[columnOf[c]];
      if (begin === end) continue;
      const from = run.columns[columnOf[c]];
      const to = columns[c];
      for (let i = begin; i < end; i++) to[i - begin] = from[i];
    }
    this.functions.readKey(program, end - begin, known);
  }

  /**
   * Takes the steps of the row, none of which is an expression, and gives the vector as nearest Float32 numbers, kept finite: the i-th is
   * out[at + i × step].
   */
  finish({ steps, width }: FeaturePlan, row: { readonly time: number }, place: ProgramPlace, to: Target): void {
    const { vector } = this;
    const { out, step } = to;
    const { rows } = steps;
    let { at } = to;
    if (place.generation !== this.generation) this.install(rows.of, place);
    this.functions.finishRow(place.program, rows.run.length, width, row.time);
    for (let i = 0; i < width; i++) {
      out[at] = vector[i];
      at += step;
    }
  }

  private install(program: Int32Array | Uint8Array | null, place: ProgramPlace): void {
    place.program = UNFIT;
    if (program !== null && program.byteLength <= PROGRAMS_BYTES) {
      if (this.programsUsed + program.byteLength > PROGRAMS_BYTES) {
        this.generation++;
        this.programsUsed = 0;
      }
      const { buffer, byteOffset, byteLength } = program;
      place.program = PROGRAMS_AT + this.programsUsed;
      new Uint8Array(this.bytes, place.program, byteLength).set(new Uint8Array(buffer, byteOffset, byteLength));
      this.programsUsed += Math.ceil(byteLength / 8) * 8;
    }
    place.generation = this.generation;
  }
}

/** Where a program stands in the kernel's memory; void when the generation is another. */
export interface ProgramPlace {
  program: number;
  generation: number;
}

export function newProgramPlace(): ProgramPlace {
  return { program: UNFIT, generation: -1 };
}

export interface Target {
  out: Float32Array;
  at: number;
  step: number;
}

let ofThread: ReadKernel | null = null;

/** The kernel, loaded when it is first asked for. Errors: ml.kernel-unusable. */
export function readKernel(): ReadKernel {
  ofThread ??= new ReadKernel();
  return ofThread;
}

/** The program as kernels/assembly/read.ts describes it; null for distinct values, and for plans beyond the kernel's room. */
function programBytes(steps: KeySteps): Uint8Array | null {
  const columns = steps.passes.flatMap((pass) => pass.columns.map((column) => ({ pass, column })));
  if (columns.some(({ column }) => column.distinct || column.column >= COLUMNS_MAX)) return null;
  const edges = edgesOf(steps);
  if (steps.factCount > FACTS_MAX || edges.length > EDGES_MAX) return null;
  const edge = (ms: number): number => edges.indexOf(ms);
  const program = new Program();
  program.part(edges, (ms) => program.f64(ms));
  const windows = steps.passes.flatMap((pass) => Array.from(pass.lengths, (ms, window) => ({ pass, ms, window })));
  program.part(windows, ({ pass, ms, window }) => {
    const asked = (pass.frauds ? KNOWN_FRAUDS : 0) + (pass.genuine ? KNOWN_GENUINE : 0);
    program.i32(edge(pass.delayMs), edge(pass.delayMs + ms), pass.facts + COUNT_FACT.count * window, asked);
  });
  program.part(columns, ({ pass, column }) => program.i32(...columnWords(pass, column, edge)));
  program.part(steps.multiples, (one) => {
    program.i32(one.column, one.kept, one.keptLargest ? 1 : 0, one.current ? 1 : 0, one.features.length, 0);
    one.features.forEach((feature, o) => {
      program.f64(one.times[o]);
      program.i32(edge(Math.min(one.usualMs, one.windowMs[o])), feature);
    });
  });
  const since = steps.elapsed.filter((one) => one.of === "transaction");
  program.part(since, ({ withinMs, unitMs, last, feature }) => {
    program.f64(withinMs);
    program.f64(unitMs);
    program.i32(edge(withinMs), last ? 1 : 0, feature, 0);
  });
  const { of, checked, empty } = steps.outputs;
  program.part(groups(of, OUTPUT_FIELDS), ([fact, feature]) => program.i32(fact, feature));
  const ofFrauds = [...steps.elapsed.filter((one) => one.of === "fraud"), ...steps.sinceFraud];
  program.part(ofFrauds, ({ feature }) => program.i32(feature));
  program.part(groups(checked, CHECKED_FIELDS), ([feature, counted, least], o) => {
    program.f64(empty[o]);
    program.i32(counted, least, feature, 0);
  });
  return program.bytes();
}

/** Ages that matter: entries in (t − delay − window, t − delay] are at least the delay old and younger than both together. */
function edgesOf({ passes, multiples, elapsed }: KeySteps): number[] {
  const all = [
    ...passes.flatMap(({ delayMs, lengths }) => [delayMs, ...Array.from(lengths, (ms) => delayMs + ms)]),
    ...multiples.flatMap(({ usualMs, windowMs }) => Array.from(windowMs, (ms) => Math.min(usualMs, ms))),
    ...elapsed.filter((one) => one.of === "transaction").map(({ withinMs }) => withinMs),
  ];
  return [...new Set(all)].sort((a, b) => a - b);
}

function columnWords(pass: Pass, column: PassColumn, edge: (ms: number) => number): number[] {
  const { spread, extremes } = column;
  const windows = groups(column.windows, WINDOW_FIELDS);
  const asked = (spread ? SPREAD : 0) + (extremes ? EXTREMES : 0);
  return [
    ...[column.column, asked, edge(pass.delayMs), windows.length],
    ...windows.flatMap(([window, facts]) => [edge(pass.delayMs + pass.lengths[window]), facts]),
  ];
}

function groups(numbers: Int32Array, size: number): number[][] {
  return Array.from({ length: numbers.length / size }, (_, i) => [...numbers.subarray(i * size, (i + 1) * size)]);
}

/** Numbers of both kinds, one behind the other. */
class Program {
  private readonly words: number[] = [];

  /** A part with its length in front, padded to 8 bytes. */
  part<T>(list: readonly T[], write: (one: T, at: number) => void): void {
    this.i32(list.length, 0);
    list.forEach(write);
    if (this.words.length % 2 === 1) this.i32(0);
  }

  i32(...numbers: number[]): void {
    this.words.push(...numbers);
  }

  f64(number: number): void {
    this.words.push(...new Int32Array(Float64Array.of(number).buffer));
  }

  bytes(): Uint8Array {
    return new Uint8Array(Int32Array.from(this.words).buffer);
  }
}
