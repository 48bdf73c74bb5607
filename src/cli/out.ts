// Where results are to go, asked before the work: an hour of training must not end in "cannot write".
import { accessSync, constants, type Stats, statSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../core/errors.ts";

/** A folder for results, made where it is missing. Throws `workspace.unwritable` where it cannot be. */
export function checkOutFolder(option: string, dir: string): void {
  const refuse = refusal(option, dir, { code: "workspace.unwritable", hint: "name a folder that you may write to" });
  const found = nearest(dir, refuse);
  if (!found.isFolder) refuse(found.isWhole ? "is a file, not a folder" : `lies in ${found.place}, which is a file`);
  checkWritable(found.place, refuse);
}

/** A table to be written beside others and moved into its place. Throws `dataset.unwritable` where it cannot be. */
export function checkOutTable(option: string, file: string): void {
  const refuse = refusal(option, file, { code: "dataset.unwritable", hint: FILE_HINT });
  const found = nearest(file, refuse);
  if (found.isWhole && found.isFolder) refuse("is a folder, not a file");
  const folder = path.dirname(path.resolve(file));
  if (!found.isWhole && found.place !== folder) refuse(`lies in ${folder}, a folder that is not there`);
  checkWritable(folder, refuse);
}

/** A file to be written in its place, its folder made where it is missing. Throws `workspace.unwritable` where it cannot be. */
export function checkOutFile(option: string, file: string): void {
  const refuse = refusal(option, file, { code: "workspace.unwritable", hint: FILE_HINT });
  const found = nearest(file, refuse);
  if (found.isWhole && found.isFolder) refuse("is a folder, not a file");
  if (!found.isWhole && !found.isFolder) refuse(`lies in ${found.place}, which is a file`);
  checkWritable(found.place, refuse);
}

const FILE_HINT = "name a file in a folder that is there and that you may write to";

type Refuse = (what: string) => never;

function refusal(
  option: string,
  place: string,
  { code, hint }: { readonly code: "workspace.unwritable" | "dataset.unwritable"; readonly hint: string },
): Refuse {
  return (what) => {
    throw new SentinelError(code, `${option} ${place === "" ? '""' : place} ${what}`, { hint });
  };
}

/** The path itself where it is there, else the closest above it that is. */
interface Nearest {
  readonly place: string;
  readonly isWhole: boolean;
  readonly isFolder: boolean;
}

function nearest(given: string, refuse: Refuse): Nearest {
  if (given.trim() === "") refuse("names nothing");
  const whole = path.resolve(given);
  try {
    for (let place = whole; ; place = path.dirname(place)) {
      const found = look(place);
      if (found !== undefined) return { place, isWhole: place === whole, isFolder: found.isDirectory() };
    }
  } catch (error) {
    return refuse(`cannot be looked at: ${messageOf(error)}`);
  }
}

function look(place: string): Stats | undefined {
  try {
    return statSync(place);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

function checkWritable(place: string, refuse: Refuse): void {
  try {
    accessSync(place, constants.W_OK);
  } catch (error) {
    refuse(`cannot be written: ${messageOf(error)}`);
  }
}
