// What goes wrong with objects, wherever they are: one that is gone.
import { SentinelError } from "../../core/errors.ts";

export function missing(where: string): SentinelError {
  return new SentinelError("archive.unreadable", `${where} is gone`, {
    hint: "a compaction may have put its rows into another file meanwhile: run the command again",
  });
}
