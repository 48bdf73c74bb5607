// The compiled contract for reflection: each file's descriptor by its name and by the symbols that it defines, with the files it imports.
import { assert } from "../core/errors.ts";

/** Files of a FileDescriptorSet (google/protobuf/descriptor.proto). */
export interface DescriptorFiles {
  /** The file and all that it imports, itself first; null where there is none of this name. */
  byName(name: string): readonly Buffer[] | null;
  /** The file that defines a service, method, message, enum or field by its full name, likewise. */
  bySymbol(name: string): readonly Buffer[] | null;
}

interface File {
  readonly bytes: Buffer;
  readonly imports: readonly string[];
}

/** Numbers of the fields that are read, as descriptor.proto has them. */
const SET = { file: 1 } as const;
const FILE = { name: 1, package: 2, dependency: 3, message: 4, enum: 5, service: 6 } as const;
const MESSAGE = { field: 2, nested: 3, enum: 4, oneof: 8 } as const;
const ENUM = { value: 2 } as const;
const SERVICE = { method: 2 } as const;
/** In each of them. */
const NAME = 1;

export function descriptorFiles(set: Buffer): DescriptorFiles {
  const files = new Map<string, File>();
  const symbols = new Map<string, string>();
  for (const bytes of membersOf(set).get(SET.file) ?? []) {
    const members = membersOf(bytes);
    const name = textOf(members, FILE.name);
    files.set(name, { bytes, imports: (members.get(FILE.dependency) ?? []).map(String) });
    for (const symbol of symbolsOf(members)) symbols.set(symbol, name);
  }
  const withImports = (name: string, found = new Map<string, Buffer>()): readonly Buffer[] => {
    const file = files.get(name);
    if (file === undefined || found.has(name)) return [...found.values()];
    found.set(name, file.bytes);
    for (const one of file.imports) withImports(one, found);
    return [...found.values()];
  };
  return {
    byName: (name) => (files.has(name) ? withImports(name) : null),
    bySymbol(name) {
      const file = symbols.get(name.replace(/^\./, ""));
      return file === undefined ? null : withImports(file);
    },
  };
}

type Members = ReadonlyMap<number, readonly Buffer[]>;

/** Full names of what a file defines. */
function symbolsOf(file: Members): readonly string[] {
  const within = (scope: string, name: string): string => (scope === "" ? name : `${scope}.${name}`);
  const found: string[] = [];
  const named = (parts: readonly Buffer[] | undefined, scope: string): void => {
    for (const part of parts ?? []) found.push(within(scope, textOf(membersOf(part), NAME)));
  };
  const enums = (parts: readonly Buffer[] | undefined, scope: string): void => {
    named(parts, scope);
    // As in C++, an enum's values belong to what the enum belongs to.
    for (const part of parts ?? []) named(membersOf(part).get(ENUM.value), scope);
  };
  const messages = (parts: readonly Buffer[] | undefined, scope: string): void => {
    for (const part of parts ?? []) {
      const members = membersOf(part);
      const name = within(scope, textOf(members, NAME));
      found.push(name);
      named(members.get(MESSAGE.field), name);
      named(members.get(MESSAGE.oneof), name);
      enums(members.get(MESSAGE.enum), name);
      messages(members.get(MESSAGE.nested), name);
    }
  };
  const scope = file.has(FILE.package) ? textOf(file, FILE.package) : "";
  messages(file.get(FILE.message), scope);
  enums(file.get(FILE.enum), scope);
  for (const service of file.get(FILE.service) ?? []) {
    const members = membersOf(service);
    const name = within(scope, textOf(members, NAME));
    found.push(name);
    named(members.get(SERVICE.method), name);
  }
  return found;
}

function textOf(members: Members, field: number): string {
  const [text] = members.get(field) ?? [];
  assert(text !== undefined, `a descriptor has field ${field}`);
  return text.toString("utf8");
}

/** Wire types of a member (https://protobuf.dev/programming-guides/encoding). */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** The texts, bytes and messages in a message by their number; numbers are passed over. */
function membersOf(bytes: Buffer): Members {
  const members = new Map<number, Buffer[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const type = tag & 7;
    assert([VARINT, FIXED64, BYTES, FIXED32].includes(type), "a compiled contract has no groups");
    if (type === VARINT) varint();
    else if (type === FIXED64) at += 8;
    else if (type === FIXED32) at += 4;
    else {
      const length = varint();
      const own = members.get(tag >>> 3) ?? [];
      own.push(bytes.subarray(at, at + length));
      members.set(tag >>> 3, own);
      at += length;
    }
  }
  return members;
}
