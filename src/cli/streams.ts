// Standard output and standard error that fail: the words end, the work goes on, and the exit code stays true.
import { SentinelError } from "../core/errors.ts";

/** A reader that left (`| head`) wanted no more; a pipe that Node has closed after that says it in the second way. */
const READER_LEFT = ["EPIPE", "ERR_STREAM_DESTROYED"];

export interface StreamWatch {
  /** Why words for people were lost (a full disk, say); null where all were written or the reader left. */
  fault(): Error | null;
}

/**
 * Keeps an error of either stream from ending the process: a training that is piped into `head` still registers its candidate, a server
 * still drains. One listener per stream, so that no two contradict each other.
 */
export function watchStreams(stdout: NodeJS.WritableStream, stderr: NodeJS.WritableStream): StreamWatch {
  let lost: Error | null = null;
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (!hasReaderLeft(error)) lost ??= error;
  });
  // There is no third place in which to say that the second one fails.
  stderr.on("error", () => {});
  return { fault: () => lost };
}

/** True where the other end of a pipe was closed, which is no fault. */
export function hasReaderLeft(error: Error): boolean {
  return READER_LEFT.includes((error as NodeJS.ErrnoException).code ?? "");
}

/**
 * Writes a document that is the command's answer, and waits for it. Throws `cli.output-lost` where the place it goes to takes no more: unlike
 * words for people, half a document must not look like a whole one. A reader that left is no fault.
 */
export function writeDocument(stdout: NodeJS.WritableStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(text, (error) => {
      if (error == null || hasReaderLeft(error)) resolve();
      else reject(outputLost(error));
    });
  });
}

/** The work is done and its answer is lost. */
export function outputLost(cause: Error): SentinelError {
  return new SentinelError("cli.output-lost", `the answer could not be written to standard output: ${cause.message}`, {
    hint: "what the command does was done: look at the outcome (`sentinel registry list`) before you run it again, and make room where the output goes",
    cause,
  });
}
