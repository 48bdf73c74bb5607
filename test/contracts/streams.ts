// The contract of streams: one suite that every driver passes.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { OutRecord, StreamRecord, StreamSource, Streams, StreamWriter } from "../../src/ports/stream.ts";

export interface StreamsUnderTest {
  /** New streams over the same place, as another process would open them. */
  open(): Streams;
  /** Appends records to a topic as somebody else's producer does. */
  append(topic: string, records: readonly OutRecord[]): Promise<void>;
  /** What a reader of committed records sees of a topic, in order. */
  read(topic: string): Promise<readonly string[]>;
  /** Names of topics that nobody used before. */
  name(): string;
}

const record = (value: string, key = "k"): OutRecord => ({ key, value, timestamp: 1_700_000_000_000 });
const textOf = ({ value }: StreamRecord): string => Buffer.from(value!).toString();

export function streamsContract(name: string, make: () => Promise<StreamsUnderTest>): void {
  let under: StreamsUnderTest;
  let streams: Streams;
  let input: string;
  let output: string;
  let other: string;
  const opened: Streams[] = [];

  beforeEach(async () => {
    under = await make();
    streams = opens();
    [input, output, other] = [under.name(), under.name(), under.name()];
    await Promise.all([input, output, other].map((topic) => streams.create(topic, 1)));
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
  });

  function opens(): Streams {
    const one = under.open();
    opened.push(one);
    return one;
  }
  const subscribe = (of: Streams = streams): Promise<StreamSource> =>
    of.subscribe({ topic: input, group: "g", sessionMs: 6000, recordBytesMax: 1000, whole: false });
  const writer = async (of: Streams = streams): Promise<StreamWriter> => {
    const one = await of.writer({ id: `g-${input}`, group: "g", topic: input });
    await one.takeOver([output, other]);
    return one;
  };
  async function assigned(source: StreamSource): Promise<void> {
    while (source.assignment() === null) await source.arrived(50);
  }
  /** Records of partition 0, once so many have come. */
  async function take(source: StreamSource, count: number): Promise<StreamRecord[]> {
    const all: StreamRecord[] = [];
    while (all.length < count) {
      await source.arrived(50);
      all.push(...source.take(0));
    }
    return all;
  }
  const outputs = (...values: string[]): ReadonlyMap<string, readonly OutRecord[]> =>
    new Map([[output, values.map((value) => record(value))]]);

  test(`${name}: topics that are there are told, with their partitions`, async () => {
    expect(await streams.topics([input, "there-is-none"])).toEqual(new Map([[input, 1]]));
  });

  test(`${name}: a partition is read in order from a position, and again from an earlier one`, async () => {
    await under.append(
      input,
      ["a", "b", "c"].map((value) => record(value)),
    );
    const source = await subscribe();
    await assigned(source);
    expect(source.assignment()).toMatchObject({ partitions: [0], total: 1 });
    const { begin, end } = (await source.spans()).get(0)!;
    source.start(0, begin);
    const all = await take(source, 3);
    expect(all.map(textOf)).toEqual(["a", "b", "c"]);
    expect(all.map(({ next }) => next)).toEqual([all[1].offset, all[2].offset, all[2].next]);
    expect(source.readTo(0)).toBe(end);
    source.start(0, all[1].offset);
    expect((await take(source, 2)).map(textOf)).toEqual(["b", "c"]);
    await under.append(input, [record("d")]);
    const [d] = await take(source, 1);
    expect([textOf(d), d.offset]).toEqual(["d", all[2].next]);
  });

  test(`${name}: records and positions of a transaction appear together`, async () => {
    await under.append(
      input,
      ["a", "b"].map((value) => record(value)),
    );
    const source = await subscribe();
    await assigned(source);
    expect((await source.committed()).has(0)).toBe(false);
    source.start(0, (await source.spans()).get(0)!.begin);
    const [a, b] = await take(source, 2);
    const own = await writer();
    await own.commit({
      outputs: new Map([...outputs("A1", "A2"), [other, [record("x")]]]),
      positions: new Map([[0, a.next]]),
    });
    // A commit is on its way when it returns; who takes over waits for it.
    await own.takeOver([output, other]);
    expect(await source.committed()).toEqual(new Map([[0, a.next]]));
    await own.commit({ outputs: outputs("B"), positions: new Map([[0, b.next]]) });
    await own.takeOver([output, other]);
    expect(await source.committed()).toEqual(new Map([[0, b.next]]));
    expect(await under.read(output)).toEqual(["A1", "A2", "B"]);
    expect(await under.read(other)).toEqual(["x"]);
    const again = await subscribe(opens());
    expect(await again.committed()).toEqual(new Map([[0, b.next]]));
  });

  test(`${name}: a transaction of positions alone, and one of nothing`, async () => {
    const own = await writer();
    await own.commit({ outputs: new Map(), positions: new Map([[0, 0]]) });
    await own.commit({ outputs: new Map(), positions: new Map() });
    await own.takeOver([output, other]);
    expect(await (await subscribe()).committed()).toEqual(new Map([[0, 0]]));
    expect(await under.read(output)).toEqual([]);
  });

  test(`${name}: a writer without an id appends, in order and once`, async () => {
    const own = await streams.writer({ id: null, group: "produce", topic: output });
    await own.takeOver([output, other]);
    for (const value of ["1", "2", "3"]) await own.commit({ outputs: outputs(value), positions: new Map() });
    expect(await under.read(output)).toEqual(["1", "2", "3"]);
  });

  test(`${name}: many records, larger together than one request may be`, async () => {
    const values = Array.from({ length: 3000 }, (_, at) => `${at}${"x".repeat(700)}`);
    const own = await writer();
    await own.commit({ outputs: outputs(...values), positions: new Map() });
    expect(await under.read(output)).toEqual(values);
  });

  test(`${name}: a topic that is not there is said`, async () => {
    const none = under.name();
    const asked = streams.subscribe({ topic: none, group: "g", sessionMs: 6000, recordBytesMax: 1000, whole: false });
    await expect(asked).rejects.toMatchObject({ code: "stream.missing" });
  });
}
